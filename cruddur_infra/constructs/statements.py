"""How policies say what they allow, and the conditions that several of them share."""

from aws_cdk import Aws
from aws_cdk import aws_iam as iam

Conditions = dict[str, dict[str, object]]

VIA_DYNAMODB: dict[str, object] = {"kms:ViaService": f"dynamodb.{Aws.REGION}.amazonaws.com"}
"""Only for DynamoDB on behalf of the caller (KMS Developer Guide, "kms:ViaService"). Not tried in China."""


def allow(
    sid: str, actions: list[str], resources: list[str], conditions: Conditions | None = None
) -> iam.PolicyStatement:
    """A statement that allows actions on resources. A comment beside each says which call needs it."""
    return iam.PolicyStatement(sid=sid, actions=actions, resources=resources, conditions=conditions)


def only_partitions(*prefixes: str) -> Conditions:
    """Only keys of partitions with these prefixes.

    `Null` refuses requests without keys, for which ForAllValues is true (IAM User Guide, "Single-valued vs. multivalued
    context keys").
    """
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}*" for prefix in prefixes]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def in_transaction() -> Conditions:
    """Only as part of TransactWriteItems (DynamoDB Developer Guide, "Using IAM with DynamoDB transactions")."""
    return {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
