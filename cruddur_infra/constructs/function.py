"""What every Lambda function of this app has in common: newest Python, arm64, JSON logs, its own log group and role."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cruddur_infra import LAMBDA_CODE, names
from cruddur_infra.acknowledgements import HIPAA, NIST, PCI, acknowledge, in_packs
from cruddur_infra.constructs import package
from cruddur_infra.constructs.network import Network
from cruddur_messages import schema


class Function(Construct):
    """A function of `lambda/`, whose role may write its own logs and do what `statements` say, and nothing else.

    System and part make up its name. `entry` is the module that has the handler. `data` are files that it reads: where
    it looks for each, and what is to lie there. `retry_attempts` is how often Lambda repeats an asynchronous event.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        system: str,
        part: str,
        description: str,
        entry: str,
        statements: Sequence[iam.PolicyStatement],
        table_name: str,
        memory_mb: int,
        timeout_seconds: int,
        log_retention_days: int,
        data: Mapping[Path, Path] | None = None,
        retry_attempts: int | None = None,
        network: Network | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        name = names.function_name(system, part)
        log_group = logs.CfnLogGroup(
            self,
            "Logs",
            log_group_name=names.log_group_name(system, part),
            retention_in_days=log_retention_days,
        )
        # Kept, it would stand in the way of the next deployment: its name is fixed.
        log_group.apply_removal_policy(RemovalPolicy.DESTROY)
        self.log_group_name = log_group.ref
        self.role = iam.Role(
            self,
            "Role",
            role_name=names.role_name(system, part),
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
            memory_size=memory_mb,
            timeout=Duration.seconds(timeout_seconds),
            retry_attempts=retry_attempts,
            environment={schema.TABLE_NAME_VARIABLE: table_name},
            vpc=network.vpc if network else None,
            vpc_subnets=network.subnets if network else None,
            security_groups=[network.security_group] if network else None,
        )
        self._acknowledge(name, log_group)

    def _acknowledge(self, name: str, log_group: logs.CfnLogGroup) -> None:
        acknowledge(
            log_group,
            "Holds ids and counts, no text and no names; CloudWatch Logs encrypts it under a key of its own.",
            *in_packs("CloudWatchLogGroupEncrypted", (NIST, HIPAA, PCI)),
            "CKV_AWS_158",
        )
        acknowledge(
            self.role,
            "The policy belongs to this role alone, and is read, changed and deleted with it.",
            *in_packs("IAMNoInlinePolicy", (NIST, HIPAA, PCI)),
        )
        acknowledge(
            self.role,
            "The streams of its own log group, whose names Lambda makes up.",
            f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:"
            f"log-group:/aws/lambda/{name}:*]",
        )
        acknowledge(
            self.function,
            "Each invocation leaves a log line with its counts; there is no call to another service to trace but "
            "DynamoDB's, and no way from the isolated subnets to X-Ray.",
            "Serverless-LambdaTracing",
        )
        acknowledge(
            self.function,
            "The one variable is the table's name; Lambda encrypts it under a key of its own.",
            "CKV_AWS_173",
        )
        acknowledge(self.function, "CDK writes the dependency on the role out.", "W3005")
