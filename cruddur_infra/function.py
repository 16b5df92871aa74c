"""What every Lambda function of this app has in common: newest Python, arm64, JSON logs, its own log group and role."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cruddur_infra import LAMBDA_CODE, names, package
from cruddur_infra.settings import Settings
from cruddur_messages import schema


class Function(Construct):
    """A function of `lambda/`, whose role may write its own logs and do what `statements` say, and nothing else.

    `entry` is the module that has the handler. `data` are files that it reads: where it looks for each, and what is
    to lie there.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        part: str,
        description: str,
        entry: str,
        statements: Sequence[iam.PolicyStatement],
        timeout: Duration,
        data: Mapping[Path, Path] | None = None,
        vpc: ec2.IVpc | None = None,
        vpc_subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        name = names.function_name(settings, part)
        log_group = logs.CfnLogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{name}",
            retention_in_days=settings.log_retention_days,
        )
        log_group.apply_removal_policy(RemovalPolicy.RETAIN if settings.protect else RemovalPolicy.DESTROY)
        self.role = iam.Role(
            self,
            "Role",
            role_name=names.role_name(settings, part),
            description=description,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={
                part: iam.PolicyDocument(
                    statements=[
                        # Lambda ships what the function prints under this role.
                        iam.PolicyStatement(
                            sid="WriteLogs",
                            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                            resources=[
                                f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:/aws/lambda/{name}:*"
                            ],
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
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            code=lambda_.Code.from_asset(str(package.stage(files))),
            handler=f"{package.PACKAGE}.{entry}.handler",
            # Every permission stands in the statements above; nothing that CDK would grant is added to them.
            role=self.role.without_policy_updates(),
            log_group=logs.LogGroup.from_log_group_name(self, "LogsByName", log_group.ref),
            logging_format=lambda_.LoggingFormat.JSON,
            memory_size=settings.memory_mb,
            timeout=timeout,
            environment={schema.TABLE_NAME_VARIABLE: settings.table_name},
            vpc=vpc,
            vpc_subnets=vpc_subnets,
            security_groups=security_groups,
        )
