"""The audit stack: each role may do what its calls need and no more, and each path of the state machine ends right."""

import json
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest
from botocore.session import get_session

from cruddur_infra.constructs.audit import RECOVERY_IS_OFF, definition
from tests.engines.fixtures import CruddurTable
from tests.policies.authorization import ACCOUNT, REGION
from tests.policies.deployed import _Account as Account
from tools.synthesis import Templates, only, resources

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/cruddur-messages"
JOB, RUN, SCHEDULE = "audit-job", "audit-run", "audit-schedule"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"


@pytest.fixture(scope="module")
def audit(templates: Callable[..., Templates]) -> Any:
    return templates("prod", audit_days="1", audit_key_arn=KEY)


ASSETS = {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}
"""The bucket of CDK's bootstrap, as templates name it."""

NEEDED = [
    (JOB, "s3:GetObject", "{zip}"),
    (JOB, "s3:GetObject", "{py}"),
    (JOB, "s3:GetObject", "bucket/exports/AWSDynamoDB/1/manifest-summary.json"),
    (JOB, "s3:PutObject", "bucket/findings/1/00000.jsonl"),
    (JOB, "dynamodb:BatchGetItem", TABLE),
    (JOB, "dynamodb:GetItem", TABLE),
    (JOB, "dynamodb:Query", TABLE),
    (JOB, "dynamodb:Query", f"{TABLE}/index/message-group-sk-index"),
    (JOB, "cloudwatch:PutMetricData", "*"),
    (JOB, "logs:CreateLogGroup", "logs/output"),
    (JOB, "logs:CreateLogStream", "logs/output:log-stream:1"),
    (JOB, "logs:PutLogEvents", "logs/output:log-stream:1"),
    (JOB, "kms:Decrypt", KEY),
    (RUN, "dynamodb:ExportTableToPointInTime", TABLE),
    (RUN, "dynamodb:DescribeExport", f"{TABLE}/export/1"),
    (RUN, "s3:AbortMultipartUpload", "bucket/exports/AWSDynamoDB/1/data/1.json.gz"),
    (RUN, "s3:PutObject", "bucket/exports/AWSDynamoDB/1/data/1.json.gz"),
    (RUN, "glue:StartJobRun", "job"),
    (RUN, "glue:GetJobRun", "job"),
    (RUN, "kms:Decrypt", KEY),
    (SCHEDULE, "states:StartExecution", "machine"),
]
"""Role, action, resource: what the calls of audit/, the states and the schedule need."""

NOT_NEEDED = [
    (JOB, "dynamodb:Scan", TABLE),
    (JOB, "dynamodb:PutItem", TABLE),
    (JOB, "dynamodb:Query", f"{TABLE}-of-others"),
    (JOB, "s3:PutObject", "bucket/exports/x"),
    (JOB, "s3:GetObject", "bucket/findings/1/00000.jsonl"),
    (JOB, "s3:GetObject", "assets/others.zip"),
    (RUN, "s3:GetObject", "bucket/exports/x"),
    (RUN, "s3:PutObject", "bucket/findings/x"),
    (RUN, "dynamodb:Query", TABLE),
    (RUN, "glue:StartJobRun", "others"),
    (SCHEDULE, "states:StartExecution", "others"),
]


def statements(templates: Any) -> dict[str, list[tuple[str, str]]]:
    """The pairs of action and resource of each role, with names as in NEEDED."""
    template = templates["audit"]
    account = Account(templates)
    bucket, machine = (
        next(iter(resources(template, kind))) for kind in ("AWS::S3::Bucket", "AWS::StepFunctions::StateMachine")
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for role in resources(template, "AWS::IAM::Role").values():
        # Without a name of its own: with a long name of the system, it would have more than IAM's 64 characters.
        assert not role["Properties"].keys() & {"ManagedPolicyArns", "RoleName"}
        (policy,) = role["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]:
            actions, places = (
                value if isinstance(value, list) else [value] for value in (statement["Action"], statement["Resource"])
            )
            for action in actions:
                for place in places:
                    text = json.dumps(place).replace(f'{{"Fn::GetAtt": ["{bucket}", "Arn"]}}', '"bucket"')
                    text = text.replace(json.dumps(ASSETS), '"assets"')
                    name = account.value(json.loads(text.replace(f'{{"Ref": "{machine}"}}', '"machine"')))
                    name = name.replace(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws-glue/jobs", "logs")
                    name = name.replace(f"arn:aws:glue:{REGION}:{ACCOUNT}:job/cruddur-messages-prod-audit", "job")
                    name = name.replace("arn:aws:s3:::assets", "assets")
                    found.setdefault(policy["PolicyName"], []).append((action, name))
    return found


def test_every_needed_call_is_allowed_and_every_part_of_every_statement_is_needed(audit: Any) -> None:
    allowed = statements(audit)
    unused = {(role, *pair) for role, pairs in allowed.items() for pair in pairs}
    code = {name.rpartition(".")[2]: name for action, name in allowed[JOB] if name.startswith("assets/")}
    assert sorted(code) == ["py", "zip"]
    for role, action, resource in NEEDED:
        place = resource.format(**code)
        matching = [pair for pair in allowed[role] if pair[0] == action and fnmatchcase(place, pair[1])]
        assert matching, (role, action, resource)
        unused -= {(role, *pair) for pair in matching}
    assert unused == set()
    for role, action, resource in NOT_NEEDED:
        assert not [p for p in allowed[role] if fnmatchcase(action, p[0]) and fnmatchcase(resource, p[1])]


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
