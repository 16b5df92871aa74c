"""What is wrong before `make test-aws`, or half-way, is one line; nothing is left, or the line has the command."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from cruddur_infra import REPOSITORY
from cruddur_local.paths import AWS_TESTS
from tests.aws import conftest, removal
from tests.aws.account import TAG, Account
from tests.aws.system import System
from tests.engines import ministack
from tests.engines.fixtures import free_port

pytestmark = pytest.mark.proof

NAME, REGION = "slips-on-aws", "us-east-1"
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def command(environment: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    """Begin what `make test-aws` runs, in a process group of its own as a terminal does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "tests/aws", "--capture=no", "--verbose", "--name", NAME, *words],
        cwd=REPOSITORY,
        env={name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("variables", "words", "line"),
    [
        ({}, (), "no AWS credentials found"),
        ({"AWS_REGION": ""}, (), "no AWS region is set"),
        ({"AWS_ENDPOINT_URL": "http://localhost:1"}, (), "AWS_ENDPOINT_URL is set, which is not AWS"),
        ({}, ("--name", "No"), "NAME is 'No'"),
        ({}, ("--name", "aws-tests"), "NAME is 'aws-tests'"),
    ],
)
def test_a_slip_is_one_line(variables: dict[str, str], words: tuple[str, ...], line: str, tmp_path: Path) -> None:
    alone = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": REGION}
    process = command(alone | variables, "--account=aws", "--yes", *words)
    said, _ = process.communicate()
    assert process.returncode == pytest.ExitCode.USAGE_ERROR
    assert [one for one in said.splitlines() if one] == [said.strip()]
    assert said.startswith(f"ERROR: {line}")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Account]:
    """The account of an emulator in which nothing is."""
    with ministack.running(free_port(), tmp_path) as endpoint:
        key = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        yield Account(NAME, REGION, key | {"AWS_ENDPOINT_URL": endpoint})


def test_an_account_is_refused_or_not_confirmed(empty: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pytest.UsageError, match=f"npx cdk bootstrap aws://{empty.number}/{REGION}"):
        conftest.check(empty)
    queue = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})
    empty.client("cloudformation").create_stack(StackName="CDKToolkit", TemplateBody=queue)
    conftest.check(empty)

    name = f"{NAME}-dev"
    dynamodb = System(empty, NAME, "dev", name).make_table()
    arn, tagged = dynamodb.describe_table(TableName=name)["Table"]["TableArn"], [{"Key": TAG, "Value": NAME}]
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=[TAG])
    with pytest.raises(pytest.UsageError, match=f"a table called {name}: choose another name"):
        conftest.check(empty)
    conftest.finish(empty)
    dynamodb.tag_resource(ResourceArn=arn, Tags=tagged)
    with pytest.raises(pytest.UsageError, match=f"{name}: make test-aws CLEAN_UP=1 NAME={NAME} REGION={REGION}"):
        conftest.check(empty)
    conftest.finish(empty)
    assert removal.find(empty) == []

    monkeypatch.setattr("sys.stdin", io.StringIO("111122223333\n"))
    with pytest.raises(pytest.UsageError, match=f"not confirmed: '111122223333' is not {empty.number}"):
        conftest.confirm(empty)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The account of an emulator that enforces IAM, with the CDK's bootstrap stack."""
    with ExitStack() as ending:
        yield replace(conftest.emulated(tmp_path_factory.mktemp("checkout"), ending), name=NAME, repository=REPOSITORY)


def begun(environment: dict[str, str]) -> "subprocess.Popen[str]":
    """A run that has deployed, and begins its second test."""
    process = command(environment, "--account=emulator", "--yes", "-k", "test_deploys or test_smoke_passes")
    said = ""
    assert process.stdout
    while "PASSED" not in said:
        read = process.stdout.read(1)
        assert read, said
        said += read
    return process


def test_ctrl_c_leaves_nothing(emulated: Account) -> None:
    process = begun(dict(emulated.environment))
    assert removal.find(emulated)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, said
    assert removal.find(emulated) == []
    page = AWS_TESTS / f"{NAME}.md"
    assert "| test_deploys | The stacks deploy for the first time" in page.read_text()
    page.unlink()


def test_an_expired_session_ends_with_the_command_that_removes_everything(emulated: Account) -> None:
    iam = emulated.client("iam")
    iam.create_user(UserName="tester")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [ANYTHING]})
    iam.put_user_policy(UserName="tester", PolicyName="anything", PolicyDocument=policy)
    key = iam.create_access_key(UserName="tester")["AccessKey"]
    own = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    process = begun({**emulated.environment, **own})
    iam.delete_access_key(UserName="tester", AccessKeyId=key["AccessKeyId"])
    said, _ = process.communicate()
    assert process.returncode, said
    assert "Traceback" not in said
    assert f"remove it with make test-aws CLEAN_UP=1 NAME={NAME} REGION={REGION}" in said
    assert removal.find(emulated)
    cleaned = command(dict(emulated.environment), "--account=emulator", "--clean-up")
    said, _ = cleaned.communicate()
    assert cleaned.returncode == 0, said
    assert removal.find(emulated) == []
