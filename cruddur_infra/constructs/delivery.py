"""How a GitHub workflow may deploy: roles that it assumes with its own identity, without a stored key."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from constructs import Construct

from cruddur_infra.acknowledgements import HIPAA, NIST, PCI, acknowledge, in_packs

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
PROVIDER_ARN = f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:oidc-provider/{ISSUER}"
BOOTSTRAP_QUALIFIER = "hnb659fds"


class Delivery(Construct):
    """Two roles: one deploys, for the repository's environment of this stage; one compares, for pull requests.

    Both trust the account's identity provider for GitHub, which belongs to no stage: there can be one only. What
    deploys may assume roles of the CDK's bootstrap stack. What compares reads this stage's templates itself: the
    bootstrap stack's lookup role could read the messages.
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
    ) -> None:
        super().__init__(scope, construct_id)
        self.deploy_role = _role(
            self,
            "Deploy",
            description=f"Deploys the stage {stage} from {repository}",
            subject=f"repo:{repository}:environment:{stage}",
            statement={"Sid": "Deploy", "Action": "sts:AssumeRole", "Resource": _bootstrap_roles(looks_up=looks_up)},
        )
        self.diff_role = _role(
            self,
            "Diff",
            description=f"Compares the stage {stage} with pull requests of {repository}",
            subject=f"repo:{repository}:pull_request",
            statement={
                "Sid": "ReadTemplates",
                "Action": ["cloudformation:DescribeStacks", "cloudformation:GetTemplate"],
                "Resource": [
                    f"arn:{Aws.PARTITION}:cloudformation:{Aws.REGION}:{Aws.ACCOUNT_ID}:stack/{name}/*"
                    for name in stack_names
                ],
            },
        )
        acknowledge(
            self.diff_role,
            "The stacks of this stage, of whose ARNs CloudFormation makes up the end.",
            *(
                "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:cloudformation:<AWS::Region>:<AWS::AccountId>:"
                f"stack/{name}/*]"
                for name in stack_names
            ),
        )


def _role(
    scope: Construct, construct_id: str, *, description: str, subject: str, statement: dict[str, Any]
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
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
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
        "The policy belongs to this role alone, and is read, changed and deleted with it.",
        *in_packs("IAMNoInlinePolicy", (NIST, HIPAA, PCI)),
    )
    return role


def _bootstrap_roles(*, looks_up: bool) -> list[str]:
    """Those that `cdk deploy` assumes; the last only where an existing VPC is looked up."""
    wanted = ["deploy", "file-publishing", *(["lookup"] if looks_up else [])]
    return [
        f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/"
        f"cdk-{BOOTSTRAP_QUALIFIER}-{name}-role-{Aws.ACCOUNT_ID}-{Aws.REGION}"
        for name in wanted
    ]
