"""The audit stack: each role may do what its calls need and no more, and each path of the state machine ends right."""

import json
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.session import get_session

from cruddur_infra.constructs.audit_steps import RECOVERY_IS_OFF, definition
from tests.engines.fixtures import CruddurTable
from tests.policies.authorization import ACCOUNT, REGION
from tests.policies.deployed import Intrinsics
from tests.templates.test_snapshots import ASSET_HASH, AUDITED
from tools.synthesis import Templates, only, resources

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/cruddur-messages"
JOB, RUN, SCHEDULE = "audit-job", "audit-run", "audit-schedule"
KEY = AUDITED["audit_key_arn"]


@pytest.fixture(scope="module")
def audit(templates: Callable[..., Templates]) -> Any:
    return templates("prod", **AUDITED)


ASSETS = {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}
"""The bucket of CDK's bootstrap, as templates name it."""

NAMED = {"AWS::S3::Bucket": "bucket", "AWS::StepFunctions::StateMachine": "machine"}

ALLOWED = {
    JOB: {
        # Glue loads the script and the modules.
        ("s3:GetObject", "assets/<hash>.py"),
        ("s3:GetObject", "assets/<hash>.zip"),
        # Manifests and files of the export are read, findings written.
        ("s3:GetObject", "bucket/exports/*"),
        ("s3:PutObject", "bucket/findings/*"),
        # What looks wrong is read again, and counted.
        ("dynamodb:BatchGetItem", TABLE),
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:Query", TABLE),
        ("dynamodb:Query", f"{TABLE}/index/message-group-sk-index"),
        ("cloudwatch:PutMetricData", "*"),
        ("kms:Decrypt", KEY),
        # Glue writes what the job prints.
        ("logs:CreateLogGroup", "logs/*"),
        ("logs:CreateLogStream", "logs/*:log-stream:*"),
        ("logs:PutLogEvents", "logs/*:log-stream:*"),
    },
    RUN: {
        # DynamoDB writes the files of an export with the permissions of who asks for it.
        ("dynamodb:ExportTableToPointInTime", TABLE),
        ("dynamodb:DescribeExport", f"{TABLE}/export/*"),
        ("s3:AbortMultipartUpload", "bucket/exports/*"),
        ("s3:PutObject", "bucket/exports/*"),
        ("s3:PutObjectAcl", "bucket/exports/*"),
        ("kms:Decrypt", KEY),
        ("glue:StartJobRun", "job"),
        ("glue:GetJobRun", "job"),
    },
    SCHEDULE: {("states:StartExecution", "machine")},
}
"""What the calls of audit/, the states and the schedule need, by role: actions and resources.

Conditions and trust are in the snapshot.
"""


def test_each_role_may_do_what_its_calls_need_and_nothing_else(audit: Any) -> None:
    template = audit["audit"]
    intrinsics = Intrinsics(audit)
    names = {name: word for kind, word in NAMED.items() for name in resources(template, kind)}
    found: dict[str, set[tuple[str, str]]] = {}
    for role in resources(template, "AWS::IAM::Role").values():
        # Without a name of its own: with a long name of the system, it would have more than IAM's 64 characters.
        assert not role["Properties"].keys() & {"ManagedPolicyArns", "RoleName"}
        (policy,) = role["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]:
            actions, places = (
                value if isinstance(value, list) else [value] for value in (statement["Action"], statement["Resource"])
            )
            text = json.dumps(places).replace(json.dumps(ASSETS), '"assets"')
            for name, word in names.items():
                text = text.replace(f'{{"Fn::GetAtt": ["{name}", "Arn"]}}', f'"{word}"')
                text = text.replace(f'{{"Ref": "{name}"}}', f'"{word}"')
            for place in intrinsics.value(json.loads(text)):
                short = place.replace(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws-glue/jobs", "logs")
                short = short.replace(f"arn:aws:glue:{REGION}:{ACCOUNT}:job/cruddur-messages-prod-audit", "job")
                short = ASSET_HASH.sub("<hash>", short.removeprefix("arn:aws:s3:::"))
                found.setdefault(policy["PolicyName"], set()).update((action, short) for action in actions)
    assert found == ALLOWED


def test_the_bucket_is_closed_and_forgets(audit: Any) -> None:
    bucket = only(audit["audit"], "AWS::S3::Bucket")
    assert bucket["DeletionPolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules} == {"exports/": 1, "findings/": 90}
    (statement,) = only(audit["audit"], "AWS::S3::BucketPolicy")["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_error_that_is_caught_by_name_is_one_of_the_call() -> None:
    model = get_session().get_service_model("dynamodb").operation_model("ExportTableToPointInTime")
    (catch,) = definition(table_arn="t", bucket="b", job_name="j")["States"]["Export"]["Catch"]
    assert catch["Next"] == RECOVERY_IS_OFF
    assert [f"DynamoDb.{shape.name}" for shape in model.error_shapes if "Recovery" in shape.name] == catch[
        "ErrorEquals"
    ]


JOB_ENDS = ["TIMEOUT", "STOPPED", "ERROR", "EXPIRED"]


def _check(state: str) -> tuple[dict[str, Any], str, str]:
    return {"LookAtCheck": {"State": state, "JobRunId": "r"}}, "FAILED", "CheckFailed"


PATHS = [
    ({}, "SUCCEEDED", ""),
    ({"LookAtExport": {"ExportDescription": {"ExportStatus": "FAILED", "ExportArn": "e"}}}, "FAILED", "ExportFailed"),
    _check("FAILED"),
    *(pytest.param(*_check(state), marks=pytest.mark.proof) for state in JOB_ENDS),
]
"""Answers of calls that the emulator does not give by itself, and how the run ends."""


def test_a_check_that_never_ends_is_ended() -> None:
    """Only AWS ends an execution by its time: the emulator has no TIMED_OUT."""
    assert 0 < definition(table_arn="t", bucket="b", job_name="j")["TimeoutSeconds"] < 86_400


@pytest.fixture
def services(ministack_endpoint: str) -> Callable[[str], Any]:
    options = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    anything: Any = boto3
    return lambda service: anything.client(service, endpoint_url=ministack_endpoint, **options)


@pytest.mark.parametrize(("answers", "status", "error"), PATHS)
def test_each_path_of_the_state_machine_ends_as_it_should(
    cruddur_table_on: Callable[[str], CruddurTable],
    ministack_endpoint: str,
    services: Callable[[str], Any],
    answers: dict[str, Any],
    status: str,
    error: str,
) -> None:
    table = cruddur_table_on(ministack_endpoint)
    job, role = f"{table.name}-audit", "arn:aws:iam::000000000000:role/any"
    services("s3").create_bucket(Bucket=job)
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{job}/x.py"}
    services("glue").create_job(Name=job, Role=role, Command=command)
    arn = table.client.describe_table(TableName=table.name)["Table"]["TableArn"]
    machine = definition(table_arn=arn, bucket=job, job_name=job)
    for name, state in machine["States"].items():
        if state["Type"] == "Wait":
            state["Seconds"] = 1
        if state["Type"] == "Task":
            state["Resource"] = "arn:aws:states:::" + state["Resource"].rpartition(":::")[2]
        if name in answers:
            machine["States"][name] = {"Type": "Pass", "Result": answers[name], "Next": state["Next"]}
    steps = services("stepfunctions")
    created = steps.create_state_machine(name=job, definition=json.dumps(machine), roleArn=role)
    run = steps.start_execution(stateMachineArn=created["stateMachineArn"])["executionArn"]
    while (ended := steps.describe_execution(executionArn=run))["status"] == "RUNNING":
        time.sleep(0.2)
    assert ended["status"] == status
    assert status != "FAILED" or ended["error"] == error
    if not answers:
        (started,) = services("glue").get_job_runs(JobName=job)["JobRuns"]
        exports = table.client.list_exports(TableArn=arn)["ExportSummaries"]
        export_id = exports[0]["ExportArn"].rpartition("/")[2]
        assert started["Arguments"]["--location"] == f"s3://{job}/exports/AWSDynamoDB/{export_id}"
