"""What all Lambda functions of this app share: runtime, JSON logs, a log group and role of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cruddur_infra import LAMBDA_CODE, names
from cruddur_infra.constructs import package
from cruddur_infra.constructs.network import Network
from cruddur_infra.constructs.statements import allow
from cruddur_messages import schema

ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}

EVENT_SECONDS = 60
"""The least that Lambda takes (API reference, "PutFunctionEventInvokeConfig")."""


@dataclass(frozen=True, kw_only=True)
class FunctionSettings:
    """What the functions of a stage have in common."""

    system: str
    table_name: str
    runtime: str
    architecture: str
    log_retention_days: int

    @property
    def table_arn(self) -> str:
        """The ARN of the table that they call."""
        return names.table_arn(self.table_name)


class Function(Construct):
    """A function of `lambda/`. Its role may write its own logs and do what `statements` allow, and nothing else.

    Its name consists of system and part. `entry` is the module with the handler. `data` are files that it reads: for
    each path, the file to package there. With `at_once`, Lambda drops an asynchronous event that it cannot run within a
    minute, and does not retry one that fails.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        common: FunctionSettings,
        part: str,
        description: str,
        entry: str,
        statements: Sequence[iam.PolicyStatement],
        memory_mb: int,
        timeout_seconds: int,
        data: Mapping[Path, Path] | None = None,
        at_once: bool = False,
        network: Network | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        name = names.function_name(common.system, part)
        log_group = logs.CfnLogGroup(
            self,
            "Logs",
            log_group_name=names.log_group_name(common.system, part),
            retention_in_days=common.log_retention_days,
        )
        # Its name is fixed, so a retained log group would make the next deployment fail.
        log_group.apply_removal_policy(RemovalPolicy.DESTROY)
        self.log_group_name = log_group.ref
        self.role = iam.Role(
            self,
            "Role",
            role_name=names.role_name(common.system, part),
            description=description,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={
                part: iam.PolicyDocument(
                    statements=[
                        # Lambda uses this role to ship what the function prints.
                        allow(
                            "WriteLogs",
                            ["logs:CreateLogStream", "logs:PutLogEvents"],
                            [f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:/aws/lambda/{name}:*"],
                        ),
                        *statements,
                    ]
                )
            },
        )
        files = package.modules(entry) | {
            place.relative_to(LAMBDA_CODE).as_posix(): source for place, source in (data or {}).items()
        }
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=description,
            runtime=lambda_.Runtime(common.runtime, lambda_.RuntimeFamily.PYTHON),
            architecture=ARCHITECTURES[common.architecture],
            code=lambda_.Code.from_asset(str(package.folder_of(files))),
            handler=f"{package.PACKAGE}.{entry}.handler",
            # Every permission is in the statements above: CDK must not add grants of its own.
            role=self.role.without_policy_updates(),
            log_group=logs.LogGroup.from_log_group_name(self, "LogsByName", log_group.ref),
            logging_format=lambda_.LoggingFormat.JSON,
            memory_size=memory_mb,
            timeout=Duration.seconds(timeout_seconds),
            retry_attempts=0 if at_once else None,
            # Throttles and Lambda's own errors are no failures, and are retried for six hours otherwise (Lambda
            # Developer Guide, "How Lambda handles errors and retries with asynchronous invocation").
            max_event_age=Duration.seconds(EVENT_SECONDS) if at_once else None,
            environment={schema.TABLE_NAME_VARIABLE: common.table_name},
            vpc=network.vpc if network else None,
            vpc_subnets=network.subnets if network else None,
            security_groups=[network.security_group] if network else None,
        )
