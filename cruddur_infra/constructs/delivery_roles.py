"""Roles with which a GitHub workflow deploys: it assumes them with its own identity, without a stored key."""

from collections.abc import Sequence

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from cruddur_infra.constructs.statements import allow, only_partitions
from cruddur_messages import schema

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
PROVIDER_ARN = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:oidc-provider/{ISSUER}"


class DeliveryRoles(Construct):
    """Three roles: `deploy` and `smoke` for the repository's environment of a stage, `diff` for pull requests and main.

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
        bootstrap_qualifier: str,
        table_arn: str,
    ) -> None:
        super().__init__(scope, construct_id)
        environment = f"repo:{repository}:environment:{stage}"
        self.deploy_role = _role(
            self,
            "Deploy",
            description=f"Deploys the stage {stage} from {repository}",
            subject=environment,
            # cdk deploy: AssumeRole; the lookup role only where an existing VPC is looked up.
            statements=[
                allow(
                    "Deploy",
                    ["sts:AssumeRole"],
                    [
                        f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/"
                        f"cdk-{bootstrap_qualifier}-{name}-role-{Aws.ACCOUNT_ID}-{Aws.REGION}"
                        for name in ("deploy", "file-publishing", *(["lookup"] if looks_up else []))
                    ],
                )
            ],
        )
        self.smoke_role = _role(
            self,
            "Smoke",
            description=f"Tries the stage {stage} from {repository}, with made-up people",
            subject=environment,
            statements=_smoke_statements(table_arn),
        )
        self.diff_role = _role(
            self,
            "Diff",
            description=f"Compares the stage {stage} with pull requests and main of {repository}",
            subject=[f"repo:{repository}:pull_request", f"repo:{repository}:ref:refs/heads/main"],
            # cdk diff --no-change-set: DescribeStacks and GetTemplate. CloudFormation generates the end of the ARNs.
            statements=[
                allow(
                    "ReadTemplates",
                    ["cloudformation:DescribeStacks", "cloudformation:GetTemplate"],
                    [
                        f"arn:{Aws.PARTITION}:cloudformation:{Aws.REGION}:{Aws.ACCOUNT_ID}:stack/{name}/*"
                        for name in stack_names
                    ],
                )
            ],
        )


def _role(
    scope: Construct,
    construct_id: str,
    *,
    description: str,
    subject: str | list[str],
    statements: Sequence[iam.PolicyStatement],
) -> iam.CfnRole:
    workflow = iam.WebIdentityPrincipal(
        PROVIDER_ARN, {"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": subject}}
    )
    trust = iam.PolicyStatement(actions=["sts:AssumeRoleWithWebIdentity"], principals=[workflow])
    # Not iam.Role: its logical id would differ, and the ARNs that are set on GitHub with it.
    return iam.CfnRole(
        scope,
        construct_id,
        description=description,
        assume_role_policy_document=iam.PolicyDocument(statements=[trust]),
        max_session_duration=3600,
        policies=[
            iam.CfnRole.PolicyProperty(
                policy_name=construct_id, policy_document=iam.PolicyDocument(statements=list(statements))
            )
        ],
    )


def _smoke_statements(table_arn: str) -> list[iam.PolicyStatement]:
    """What `bin/ddb smoke` calls: every key but those of its own notes starts with the prefix of made-up ids."""
    made_up = (
        schema.MESSAGE_PREFIX,
        schema.GROUP_ROW_PREFIX,
        schema.PAIR_PREFIX,
        schema.MEMBER_PREFIX,
        schema.CONVERSATION_PREFIX,
    )
    return [
        # Whether this is the table, before anything is written: DescribeTable.
        allow("SeeTable", ["dynamodb:DescribeTable"], [table_arn]),
        # Inboxes, conversations, notes: Query. Messages, first rows, notes: PutItem. Removal: DeleteItem.
        allow(
            "MadeUpPeople",
            ["dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"],
            [table_arn],
            only_partitions(*(prefix + schema.SMOKE_UUID_PREFIX for prefix in made_up), schema.SMOKE_PARTITION),
        ),
        # The member item of who joins: GetItem, and Update in TransactWriteItems.
        allow(
            "MadeUpMembers",
            ["dynamodb:GetItem", "dynamodb:UpdateItem"],
            [table_arn],
            only_partitions(schema.MEMBER_PREFIX + schema.SMOKE_UUID_PREFIX),
        ),
        # The members of a conversation that one more person joins: Query on the index, whose partition key is the
        # conversation. No `Null`: if AWS had no such key for an index, smoke would be denied (docs/security.md).
        allow(
            "FindGroupRows",
            ["dynamodb:Query"],
            [f"{table_arn}/index/{schema.INDEX_NAME}"],
            {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{schema.SMOKE_UUID_PREFIX}*"]}},
        ),
    ]
