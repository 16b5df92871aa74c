"""The security scanners find nothing but accepted findings, and would find others."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cruddur_infra.stages import context_of_the_app
from cruddur_local import paths
from tools.synthesis import EVERY_STACK

pytestmark = pytest.mark.proof

PACKS = ("AwsSolutionsChecks", "ServerlessChecks", "NIST80053R5Checks", "HIPAASecurityChecks", "PCIDSS321Checks")
CFN_LINT = paths.ENVIRONMENT_BIN / "cfn-lint"

SCANNED: Mapping[str, Mapping[str, str]] = {
    "local": {},
    "dev": {},
    "prod": {
        **EVERY_STACK,
        "alarm_email": "team@example.com",
        "encryption": "customer-managed",
        "audit_key_arn": "arn:aws:kms:us-east-1:111122223333:key/1",
    },
}
"""The overrides with which each stage is scanned."""


class Accepted(NamedTuple):
    """Findings on resources, without pack and system, that are accepted for a reason."""

    resources: tuple[str, ...]
    rules: tuple[str, ...]
    reason: str


PROJECTION, SEED, VPC = "/Messages/Projection", "-seed/Seed/Loader", "/Network/Vpc"
CANARY = "/Canary/Canary"
TABLE_POLICY = "/Messages/TablePolicy"
LOG_STREAMS = "IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws/lambda/<system>-"
AUDIT_BUCKET, AUDIT_JOB, AUDIT_RUN = (f"-audit/Audit/{part}" for part in ("Bucket", "JobRole", "RunRole"))
AUDIT_ROLES = (AUDIT_JOB, AUDIT_RUN, "-audit/Audit/ScheduleRole")
OBJECTS = "IAM5[Resource::<AuditBucket7486E833.Arn>"
GLUE_LOGS = "IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws-glue/jobs/*"
TABLE = "IAM5[Resource::arn:<AWS::Partition>:dynamodb:<AWS::Region>:<AWS::AccountId>:table/cruddur-messages"
STACK = "IAM5[Resource::arn:<AWS::Partition>:cloudformation:<AWS::Region>:<AWS::AccountId>:stack/<system>"
GITHUB_ROLES = ("-delivery/Delivery/Deploy", "-delivery/Delivery/Smoke", "-delivery/Delivery/Diff")

ACCEPTED = (
    Accepted(
        (
            f"{PROJECTION}/Role",
            TABLE_POLICY,
            f"{SEED}/Role",
            f"{CANARY}/Role",
            f"{VPC}/FlowLog/IAMRole/DefaultPolicy",
            *GITHUB_ROLES,
            *AUDIT_ROLES,
        ),
        ("IAMNoInlinePolicy",),
        "The policy belongs to this role only, and is read, changed and deleted with it.",
    ),
    Accepted(
        (f"{PROJECTION}/Logs", f"{SEED}/Logs", f"{CANARY}/Logs", f"{VPC}/FlowLogs"),
        ("CloudWatchLogGroupEncrypted",),
        "They hold ids, counts and addresses of these subnets. CloudWatch Logs encrypts them with a key of its own.",
    ),
    *(
        Accepted(
            (f"{function}/Role",),
            (f"{LOG_STREAMS}{part}:*]",),
            "The streams of its own log group. Lambda generates their names.",
        )
        for function, part in ((PROJECTION, "projection"), (SEED, "seed"), (CANARY, "canary"))
    ),
    Accepted(
        (f"{CANARY}/Function",),
        ("LambdaDLQ", "LambdaConcurrency", "LambdaTracing"),
        "A run that fails starts its alarm. The next one follows in minutes, and two at once do no harm.",
    ),
    Accepted((f"{CANARY}/Function/EventInvokeConfig",), ("LambdaAsyncFailureDestination",), "The same."),
    Accepted(("/Canary/Schedule",), ("EventBusDLQ",), "A run that does not take place starts the alarm as well."),
    Accepted(
        (f"{CANARY}/Function",),
        ("LambdaInsideVPC",),
        "It must not share the projection's network, whose failure it has to see. It reaches made-up people only.",
    ),
    Accepted(
        (f"{PROJECTION}/Role",),
        ("IAM5[Resource::*]", "LambdaStarPermissions"),
        "Lambda requires the network interface actions on every resource to create the function. A Deny keeps them "
        "from the function's own code.",
    ),
    Accepted(
        (f"{PROJECTION}/Function", f"{SEED}/Function"),
        ("LambdaTracing",),
        "Each invocation logs a line with its counts. Only DynamoDB is called, and the isolated subnets have no route "
        "to X-Ray.",
    ),
    Accepted(
        (f"{PROJECTION}/Function",),
        ("LambdaDLQ",),
        "Lambda polls the stream and invokes synchronously. Records that finally fail go to the failure queue.",
    ),
    Accepted(
        (f"{PROJECTION}/Function",),
        ("LambdaConcurrency",),
        "The mapping bounds it: concurrent invocations are at most the stream's shards times the parallelization "
        "factor. Reserved concurrency would take the same number from the account's other functions.",
    ),
    Accepted(
        ("/Messages/Failures/Queue",),
        ("SQS3", "SQSRedrivePolicy"),
        "This is the dead-letter queue: bin/ddb redrive reads it.",
    ),
    Accepted(
        ("-table/Messages/Table",),
        ("DynamoDBInBackupPlan",),
        "Point-in-time recovery goes back 35 days. Longer backups are the decision of the account's owner.",
    ),
    Accepted(
        (VPC,),
        ("VPC7", "VPCFlowLogsEnabled"),
        "Only this function is in the VPC. flow_logs = true logs its traffic, as in prod.",
    ),
    Accepted(
        (VPC,),
        ("VPCDefaultSecurityGroupClosed",),
        "Nothing uses the default group. Closing it would take another function with a broad role (decision 0006).",
    ),
    Accepted(
        ("/Monitoring/Alarms/Topic",),
        ("SNSEncryptedKMS",),
        "A notification has an alarm's name and threshold, and no message text. monitoring=full adds a key.",
    ),
    Accepted(
        ("/Monitoring/Alarms/Email", "-audit/Monitoring/Alarms/Email"),
        ("SNSRedrivePolicy",),
        "SNS has no redrive policy for e-mail. The dashboard shows the alarm's state.",
    ),
    Accepted(
        (f"{SEED}/Function",),
        ("LambdaDLQ", "LambdaConcurrency"),
        "CloudFormation invokes it once for each change of the stack, and takes a missing response for a failure.",
    ),
    Accepted(
        (f"{SEED}/Function/EventInvokeConfig",),
        ("LambdaAsyncFailureDestination",),
        "Every failure is reported to CloudFormation, which rolls back.",
    ),
    Accepted(
        (f"{SEED}/Function",),
        ("LambdaInsideVPC",),
        "It sends its response to a URL of S3, and reads and writes made-up conversations only.",
    ),
    Accepted(
        (AUDIT_JOB,),
        (f"{OBJECTS}/exports/*]", f"{OBJECTS}/findings/*]", f"{GLUE_LOGS}]", f"{GLUE_LOGS}:log-stream:*]"),
        "Each run has files, and streams of Glue's log groups, with names of its own.",
    ),
    Accepted(
        (AUDIT_JOB,), ("IAM5[Resource::*]",), "PutMetricData has no resources; the namespace is the system's own."
    ),
    Accepted((AUDIT_RUN,), (f"{OBJECTS}/exports/*]", f"{TABLE}/export/*]"), "DynamoDB generates their names."),
    Accepted(
        ("/Operator/Policy",), (f"{TABLE}/stream/*]",), "The streams of this table. DynamoDB generates their names."
    ),
    Accepted(
        (AUDIT_BUCKET,),
        ("S1", "S3BucketLoggingEnabled", "S3BucketReplicationEnabled", "S3BucketVersioningEnabled"),
        "It holds copies for a day, and findings. Versions would keep what is deleted after a day.",
    ),
    Accepted((AUDIT_BUCKET,), ("S3DefaultEncryptionKMS",), "S3 encrypts it with a key of its own."),
    Accepted(("-audit/Audit/Check",), ("GL1", "GL3"), "The job logs ids and counts, and keeps no bookmark."),
    Accepted(
        ("-audit/Audit/Machine",),
        ("SF1", "SF2", "StepFunctionStateMachineXray"),
        "A standard state machine keeps the history of each execution for 90 days, step by step.",
    ),
    Accepted(
        ("-delivery/Delivery/Diff",),
        tuple(f"{STACK}{part}/*]" for part in ("", "-table", "-seed", "-audit", "-delivery")),
        "The stacks of this stage. CloudFormation generates the end of their ARNs.",
    ),
    Accepted(
        ("MessagesProjectionFunction20765762", "SeedLoaderFunction8B739AEB", "CanaryFunction4C362F59"),
        ("W3005",),
        "CDK writes the dependency on the role explicitly.",
    ),
)

Finding = tuple[str, str]
"""Resource and rule, as in the table."""

PAIRS = {(resource, rule) for row in ACCEPTED for resource in row.resources for rule in row.rules}


def scan_with_cdk_nag(
    folder: Path, stage: str, overrides: Mapping[str, str], *, add: Callable[[Any], object] = lambda app: app
) -> set[Finding]:
    """What every pack of rules finds in a stage, which is synthesized into a folder."""
    import cdk_nag
    from aws_cdk import App, Validations

    from cruddur_infra import stacks, stages

    app = App(context=context_of_the_app(), outdir=str(folder), analytics_reporting=False)
    Validations.of(app).add_plugins(*(getattr(cdk_nag, pack)(app) for pack in PACKS))
    stacks.build(app, settings=stages.read({"stage": stage, **overrides}))
    add(app)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    system = f"cruddur-messages-{stage}"
    return {
        (
            resource["constructPath"].removeprefix(system).removesuffix("/Resource"),
            violation["ruleName"].partition("-")[2].replace(system, "<system>"),
        )
        for scanner in json.loads((folder / "validation-report.json").read_text())["pluginReports"]
        for violation in scanner["violations"]
        for resource in violation["violatingConstructs"]
    }


def scan_with_cfn_lint(folder: Path) -> set[Finding]:
    """What cfn-lint finds in the templates of a folder, warnings included."""
    templates = map(str, sorted(folder.glob("*.template.json")))
    command = [str(CFN_LINT), "--regions", "us-east-1", "--format", "json", *templates]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return {(match["Location"]["Path"][1], match["Rule"]["Id"]) for match in json.loads(found.stdout or "[]")}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> set[Finding]:
    """What all scanners find in all stages."""
    folder = tmp_path_factory.mktemp("scanned")
    found: set[Finding] = set()
    for stage, overrides in SCANNED.items():
        found |= scan_with_cdk_nag(folder / stage, stage, overrides) | scan_with_cfn_lint(folder / stage)
    return found


def test_they_find_nothing_that_is_not_accepted(findings: set[Finding]) -> None:
    assert findings - PAIRS == set()


def test_nothing_is_accepted_that_they_do_not_find(findings: set[Finding]) -> None:
    assert PAIRS - findings == set()


def test_cdk_nag_would_find_what_is_not_accepted(tmp_path: Path) -> None:
    """Also on the table: the rules apply to this kind of table, and pass because of its properties."""

    def add_queue(app: Any) -> None:
        from aws_cdk import aws_sqs as sqs

        sqs.Queue(app.node.find_child("cruddur-messages-dev"), "Plain")

    found = scan_with_cdk_nag(tmp_path, "dev", {"point_in_time_recovery": "false"}, add=add_queue)
    rules = {rule for _, rule in found - PAIRS}
    assert {"DDB3", "DynamoDBPITREnabled", "SQS3", "SQS4"} <= rules
