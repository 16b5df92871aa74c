"""The check of the whole table by itself: an export, then a job that checks it, every few days.

EventBridge Scheduler starts a state machine: export, wait, start the job, wait, succeed or fail.
"""

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from cruddur_infra import LAMBDA_CODE, names
from cruddur_infra.constructs import package
from cruddur_infra.constructs.audit_steps import EXPORTS, FINDINGS, definition
from cruddur_infra.constructs.statements import VIA_DYNAMODB, allow, only_partitions
from cruddur_messages import schema

PART = "audit"
EXPORT_DAYS = 1
FINDINGS_DAYS = 90
JOB_MINUTES = 240
OF_THIS_ACCOUNT = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}


class Audit(Construct):
    """A bucket, a Glue job, a state machine and its schedule. The bucket is retained; its objects expire.

    `every_days` is the interval. `key_arn` is the customer's key of the table, if it has one.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        system: str,
        table_name: str,
        every_days: int,
        key_arn: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._system = system
        self._table_name = table_name
        self._table_arn = names.table_arn(table_name)
        self._key_arn = key_arn
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            lifecycle_rules=[
                _expiring(EXPORTS, EXPORT_DAYS),
                _expiring(FINDINGS, FINDINGS_DAYS),
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.job_name = f"{system}-{PART}"
        self._job()
        machine = self._state_machine()
        self.state_machine_arn = machine.ref
        self._schedule(machine, every_days)

    def _job(self) -> None:
        script = assets.Asset(self, "Script", path=str(LAMBDA_CODE / package.PACKAGE / "audit/spark.py"))
        code = assets.Asset(self, "Code", path=str(package.folder_of(package.modules("audit.spark"))))
        logs = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:/aws-glue/jobs"
        role = self._role(
            "Job",
            "glue.amazonaws.com",
            "Checks exports of the table, and reads again what looks wrong",
            [
                # Glue loads the script and the modules with the job's role. In one statement, CDK would order them by
                # hash, and each change of the code could change the policy.
                *(
                    allow(f"Load{name}", ["s3:GetObject"], [asset.bucket.arn_for_objects(asset.s3_object_key)])
                    for name, asset in (("Script", script), ("Modules", code))
                ),
                # The manifests and files of the export: GetObject.
                allow("ReadExports", ["s3:GetObject"], [self.bucket.arn_for_objects(f"{EXPORTS}/*")]),
                # The files of findings: PutObject.
                allow("WriteFindings", ["s3:PutObject"], [self.bucket.arn_for_objects(f"{FINDINGS}/*")]),
                # What looks wrong, again. Messages and inboxes: Query.
                allow(
                    "ReadAgain",
                    ["dynamodb:Query"],
                    [self._table_arn],
                    only_partitions(schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX),
                ),
                # The conversation item: GetItem.
                allow(
                    "ReadConversation",
                    ["dynamodb:GetItem"],
                    [self._table_arn],
                    only_partitions(schema.CONVERSATION_PREFIX),
                ),
                # The rows that the index names, and who has left: BatchGetItem.
                allow(
                    "ReadMembers",
                    ["dynamodb:BatchGetItem"],
                    [self._table_arn],
                    only_partitions(schema.GROUP_ROW_PREFIX, schema.MEMBER_PREFIX),
                ),
                # Where a conversation's rows are: Query of the index.
                allow("ReadRows", ["dynamodb:Query"], [f"{self._table_arn}/index/{schema.INDEX_NAME}"]),
                # The number of findings: PutMetricData, which has no resources.
                allow(
                    "CountFindings",
                    ["cloudwatch:PutMetricData"],
                    ["*"],
                    {"StringEquals": {"cloudwatch:namespace": self._system}},
                ),
                # Glue writes what the job prints with the job's role (Glue Developer Guide, "Logging for AWS Glue").
                allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{logs}/*:log-stream:*"]),
                allow("CreateLogs", ["logs:CreateLogGroup"], [f"{logs}/*"]),
                *self._with_key(),
            ],
        )
        glue.CfnJob(
            self,
            "Check",
            name=self.job_name,
            role=role.role_arn,
            command=glue.CfnJob.JobCommandProperty(
                name="glueetl", python_version="3", script_location=script.s3_object_url
            ),
            glue_version="5.1",
            worker_type="G.1X",
            number_of_workers=2,
            timeout=JOB_MINUTES,
            max_retries=0,
            execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=1),
            default_arguments={
                "--extra-py-files": code.s3_object_url,
                "--table": self._table_name,
                "--system": self._system,
            },
        )

    def _state_machine(self) -> stepfunctions.CfnStateMachine:
        job_arn = f"arn:{Aws.PARTITION}:glue:{Aws.REGION}:{Aws.ACCOUNT_ID}:job/{self.job_name}"
        role = self._role(
            "Run",
            "states.amazonaws.com",
            "Exports the table, and starts the job that checks the export",
            [
                allow("Export", ["dynamodb:ExportTableToPointInTime"], [self._table_arn]),
                allow("SeeExport", ["dynamodb:DescribeExport"], [f"{self._table_arn}/export/*"]),
                # DynamoDB writes the files with the permissions of who asks for the export (Developer Guide,
                # "Requesting a table export in DynamoDB", "IAM permissions").
                allow(
                    "WriteExports",
                    ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"],
                    [self.bucket.arn_for_objects(f"{EXPORTS}/*")],
                ),
                # The job, and how it goes on.
                allow("Check", ["glue:GetJobRun", "glue:StartJobRun"], [job_arn]),
                *self._with_key(),
            ],
        )
        return stepfunctions.CfnStateMachine(
            self,
            "Machine",
            state_machine_name=self.job_name,
            role_arn=role.role_arn,
            definition=definition(table_arn=self._table_arn, bucket=self.bucket.bucket_name, job_name=self.job_name),
        )

    def _schedule(self, machine: stepfunctions.CfnStateMachine, every_days: int) -> None:
        role = self._role(
            "Schedule",
            "scheduler.amazonaws.com",
            "Starts the check of the table",
            [allow("Start", ["states:StartExecution"], [machine.ref])],
        )
        scheduler.CfnSchedule(
            self,
            "Every",
            name=self.job_name,
            description=f"Starts the check of {self._table_name}",
            schedule_expression=f"rate({every_days} day{'s' if every_days > 1 else ''})",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=machine.ref,
                role_arn=role.role_arn,
                # By default, Scheduler would start a run late, up to a day.
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(maximum_retry_attempts=0),
            ),
        )

    def _role(self, name: str, service: str, description: str, statements: list[iam.PolicyStatement]) -> iam.Role:
        return iam.Role(
            self,
            f"{name}Role",
            description=description,
            # Only for this account: a service acts for many (IAM User Guide, "The confused deputy problem").
            assumed_by=iam.ServicePrincipal(
                service, conditions=None if service == "glue.amazonaws.com" else OF_THIS_ACCOUNT
            ),
            inline_policies={f"{PART}-{name.lower()}": iam.PolicyDocument(statements=statements)},
        )

    def _with_key(self) -> list[iam.PolicyStatement]:
        """DynamoDB decrypts with the permissions of who reads, if the table has a customer's key."""
        if self._key_arn is None:
            return []
        return [
            allow(
                "DecryptTable",
                ["kms:Decrypt"],
                [self._key_arn],
                {"StringEquals": VIA_DYNAMODB},
            )
        ]


def _expiring(prefix: str, days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id=prefix,
        prefix=f"{prefix}/",
        expiration=Duration.days(days),
        abort_incomplete_multipart_upload_after=Duration.days(1),
    )
