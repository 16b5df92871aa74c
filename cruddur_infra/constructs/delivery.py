"""Roles with which a GitHub workflow deploys: it assumes them with its own identity, without a stored key."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from cruddur_infra.acknowledgements import HIPAA, NIST, PCI, acknowledge, in_packs
from cruddur_infra.constructs.statements import only_partitions
from cruddur_messages import schema

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
PROVIDER_ARN = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:oidc-provider/{ISSUER}"
BOOTSTRAP_QUALIFIER = "hnb659fds"


class Delivery(Construct):
    """Three roles: `deploy` and `smoke` for the repository's environment of a stage, `diff` for pull requests.

    All trust the account's identity provider for GitHub. It belongs to no stage, because an account has only one.
    `deploy` may assume roles of the CDK's bootstrap stack. `diff` reads this stage's templates directly, because the
    bootstrap stack's lookup role could read the messages. `smoke` may run `bin/ddb smoke`, and so reach only made-up
    people.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        repository: str,
        stage: str,
        stack_names: Sequence[str],
        looks_up: bool,
        table_arn: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.deploy_role = _role(
            self,
            "Deploy",
            description=f"Deploys the stage {stage} from {repository}",
            subject=f"repo:{repository}:environment:{stage}",
            statements=[{"Sid": "Deploy", "Action": "sts:AssumeRole", "Resource": _bootstrap_roles(looks_up=looks_up)}],
        )
        self.smoke_role = _role(
            self,
            "Smoke",
            description=f"Tries the stage {stage} from {repository}, with made-up people",
            subject=f"repo:{repository}:environment:{stage}",
            statements=_smoke_statements(table_arn),
        )
        self.diff_role = _role(
            self,
            "Diff",
            description=f"Compares the stage {stage} with pull requests of {repository}",
            subject=f"repo:{repository}:pull_request",
            statements=[
                {
                    "Sid": "ReadTemplates",
                    "Action": ["cloudformation:DescribeStacks", "cloudformation:GetTemplate"],
                    "Resource": [
                        f"arn:{Aws.PARTITION}:cloudformation:{Aws.REGION}:{Aws.ACCOUNT_ID}:stack/{name}/*"
                        for name in stack_names
                    ],
                }
            ],
        )
        acknowledge(
            self.diff_role,
            "The stacks of this stage. CloudFormation generates the end of their ARNs.",
            *(
                "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:cloudformation:<AWS::Region>:<AWS::AccountId>:"
                f"stack/{name}/*]"
                for name in stack_names
            ),
        )


def _role(
    scope: Construct, construct_id: str, *, description: str, subject: str, statements: Sequence[dict[str, Any]]
) -> iam.CfnRole:
    trust: dict[str, Any] = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": PROVIDER_ARN},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": subject}},
            }
        ],
    }
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}
    role = iam.CfnRole(
        scope,
        construct_id,
        description=description,
        assume_role_policy_document=trust,
        max_session_duration=3600,
        policies=[{"policyName": construct_id, "policyDocument": policy}],
    )
    acknowledge(
        role,
        "The policy belongs to this role only, and is read, changed and deleted with it.",
        *in_packs("IAMNoInlinePolicy", (NIST, HIPAA, PCI)),
    )
    return role


def _smoke_statements(table_arn: str) -> list[dict[str, Any]]:
    """What `bin/ddb smoke` calls: every key but those of its own notes starts with the prefix of made-up ids."""
    made_up = (schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX, schema.PAIR_PREFIX, schema.CONVERSATION_PREFIX)
    keys = only_partitions(*(prefix + schema.SMOKE_UUID_PREFIX for prefix in made_up), schema.SMOKE_PARTITION)
    return [
        # Inboxes, conversations, notes: Query. Messages, first rows, notes: PutItem. Removal: DeleteItem.
        {
            "Sid": "MadeUpPeople",
            "Action": ["dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"],
            "Resource": table_arn,
            "Condition": keys,
        },
        # The members of a conversation that the third person joins: Query on the index.
        {"Sid": "FindGroupRows", "Action": "dynamodb:Query", "Resource": f"{table_arn}/index/{schema.INDEX_NAME}"},
    ]


def _bootstrap_roles(*, looks_up: bool) -> list[str]:
    """The roles that `cdk deploy` assumes; the lookup role only where an existing VPC is looked up."""
    wanted = ["deploy", "file-publishing", *(["lookup"] if looks_up else [])]
    return [
        f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/"
        f"cdk-{BOOTSTRAP_QUALIFIER}-{name}-role-{Aws.ACCOUNT_ID}-{Aws.REGION}"
        for name in wanted
    ]
