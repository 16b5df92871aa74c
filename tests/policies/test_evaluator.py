"""The evaluator itself, on AWS's documented examples. Each example names its page."""

from typing import Any

import pytest

from tests.policies.authorization import ALLOW_EVERYTHING, Context, Policies, Request

pytestmark = pytest.mark.check

SET_OPERATORS = "IAM User Guide, Single-valued vs. multivalued context keys"
TRANSACTIONS = "DynamoDB Developer Guide, Using IAM with DynamoDB transactions, Example 2"
FINE_GRAINED = "DynamoDB Developer Guide, Using IAM policy conditions for fine-grained access control"
OPERATORS = "IAM User Guide, IAM JSON policy elements: Condition operators"
VPC = "Lambda Developer Guide, Giving Lambda functions access to resources in an Amazon VPC"

TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/table04"
QUEUE_ARN = "arn:aws:sqs:us-east-1:111122223333:queue"

IN_TRANSACTIONS = {
    "ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems", "TransactGetItems"]}
}
OWN_ITEMS = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["alice"]}}
OWN_ITEMS_GUARDED = OWN_ITEMS | {"Null": {"dynamodb:LeadingKeys": ["false"]}}
TABLES_BY_PREFIX = {"StringLike": {"aws:PrincipalTag/team": ["a?c*"]}}
THIS_FUNCTION = {"ArnEquals": {"lambda:SourceFunctionArn": ["arn:aws:lambda:us-east-1:111122223333:function:f"]}}
NOT_THIS_ROLE = {"ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::111122223333:role/sender"]}}
WITHOUT_TLS = {"Bool": {"aws:SecureTransport": ["false"]}}
THROUGH = {"StringEquals": {"aws:SourceVpce": ["vpce-1"]}}


def statement(effect: str, action: str, condition: dict[str, Any], resource: str = TABLE) -> dict[str, Any]:
    return {"Sid": "s", "Effect": effect, "Action": [action], "Resource": [resource], "Condition": condition}


def judge(*statements: dict[str, Any], action: str, resource: str = TABLE, context: Context | None = None) -> bool:
    policies = Policies(
        identities={"someone": statements},
        arns={"someone": "arn:aws:iam::111122223333:role/someone"},
        endpoint=({"Sid": "e", "Effect": "Allow", "Action": ["*"], "Resource": [TABLE], "Condition": {}},),
        endpoint_id="vpce-1",
        queue=(statement("Deny", "sqs:*", WITHOUT_TLS, QUEUE_ARN), statement("Deny", "sqs:Send*", NOT_THIS_ROLE, "*")),
        queue_arn=QUEUE_ARN,
    )
    return policies.allow(Request("someone", action, resource, context or {}))


@pytest.mark.parametrize(
    ("source", "condition", "context", "expected"),
    [
        (TRANSACTIONS, IN_TRANSACTIONS, {"dynamodb:EnclosingOperation": ("TransactWriteItems",)}, True),
        (TRANSACTIONS, IN_TRANSACTIONS, {}, False),
        (TRANSACTIONS, IN_TRANSACTIONS, {"dynamodb:EnclosingOperation": ("ExecuteTransaction",)}, False),
        (FINE_GRAINED, OWN_ITEMS, {"dynamodb:LeadingKeys": ("alice",)}, True),
        (FINE_GRAINED, OWN_ITEMS, {"dynamodb:LeadingKeys": ("bob",)}, False),
        (FINE_GRAINED, OWN_ITEMS, {"dynamodb:LeadingKeys": ("alice", "bob")}, False),
        (SET_OPERATORS, OWN_ITEMS, {}, True),
        (SET_OPERATORS, OWN_ITEMS_GUARDED, {}, False),
        (SET_OPERATORS, OWN_ITEMS_GUARDED, {"dynamodb:LeadingKeys": ("alice",)}, True),
        (OPERATORS, TABLES_BY_PREFIX, {"aws:PrincipalTag/team": ("abcde",)}, True),
        (OPERATORS, TABLES_BY_PREFIX, {"aws:PrincipalTag/team": ("aBC",)}, False),
        (OPERATORS, TABLES_BY_PREFIX, {"aws:PrincipalTag/team": ("Abc",)}, False),
        (OPERATORS, TABLES_BY_PREFIX, {}, False),
        (OPERATORS, THROUGH, {"aws:SourceVpce": ("vpce-1",)}, True),
        (OPERATORS, THROUGH, {"aws:SourceVpce": ("vpce-2",)}, False),
        (OPERATORS, THROUGH, {}, False),
        (OPERATORS, OWN_ITEMS_GUARDED | THROUGH, {"dynamodb:LeadingKeys": ("alice",)}, False),
    ],
)
def test_conditions(source: str, condition: dict[str, Any], context: Context, *, expected: bool) -> None:
    allowed = judge(statement("Allow", "dynamodb:PutItem", condition), action="dynamodb:PutItem", context=context)
    assert allowed is expected, source


@pytest.mark.parametrize(
    ("function", "expected"),
    [("function:f", False), ("function:g", True), (None, True)],
)
def test_a_deny_overrides_every_allow(function: str | None, *, expected: bool) -> None:
    deny = statement("Deny", "ec2:CreateNetworkInterface", THIS_FUNCTION, "*")
    context = {"lambda:SourceFunctionArn": (f"arn:aws:lambda:us-east-1:111122223333:{function}",)} if function else {}
    allow = dict(ALLOW_EVERYTHING[0])
    allowed = judge(allow, deny, action="ec2:CreateNetworkInterface", resource="*", context=context)
    assert allowed is expected, VPC


def test_an_endpoint_policy_limits_requests_through_the_endpoint() -> None:
    allow = dict(ALLOW_EVERYTHING[0])
    other = TABLE + "-2"
    assert judge(allow, action="dynamodb:PutItem", resource=other)
    assert not judge(allow, action="dynamodb:PutItem", resource=other, context={"aws:SourceVpce": ("vpce-1",)})
    assert judge(allow, action="dynamodb:PutItem", context={"aws:SourceVpce": ("vpce-1",)})
    assert not judge(action="dynamodb:PutItem", context={"aws:SourceVpce": ("vpce-1",)}), (
        "an endpoint policy grants nothing"
    )


def test_a_queue_policy_denies_other_senders_and_requests_without_tls() -> None:
    allow = dict(ALLOW_EVERYTHING[0])
    assert judge(allow, action="sqs:ReceiveMessage", resource=QUEUE_ARN)
    assert not judge(allow, action="sqs:SendMessage", resource=QUEUE_ARN)
    assert not judge(
        allow, action="sqs:ReceiveMessage", resource=QUEUE_ARN, context={"aws:SecureTransport": ("false",)}
    )
