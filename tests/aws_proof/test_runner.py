"""What a run records, continues, removes and prints, and every error of a user or an account as one line."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from aws_proof import __main__ as command
from aws_proof import removal, runner
from aws_proof.claims import Claim, DiffersError, Phase, Result, StopError
from aws_proof.journal import Journal, Made
from aws_proof.page import described, has_failed, page
from aws_proof.runner import CutOffError, run
from aws_proof.steps import CLAIMS
from aws_proof.world import World
from tests.aws_proof.stubbed import ACCOUNT, NAME, REGION, StubbedWorld, world_in


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def world(tmp_path: Path, said: list[str]) -> Iterator[StubbedWorld]:
    made = world_in(tmp_path, said)
    yield made
    made.responses.end()


def claim(step: Callable[[World], str], name: str = "a-claim", **more: object) -> Claim:
    return Claim(name, "The claim is true.", step, **more)  # type: ignore[arg-type]


def phase(*claims: Claim, name: str = "one") -> Phase:
    return Phase(name, "dev", claims)


def raising(error: BaseException) -> Callable[[World], str]:
    def step(_: World) -> str:
        raise error

    return step


def role_goes(world: StubbedWorld) -> None:
    """The role that these tests remove does not exist any more."""
    world.responses.refuse("iam", "get_role", "NoSuchEntity")


def make_role(world: World) -> str:
    world.journal.make("role", "probe")
    return "made"


def results(world: StubbedWorld) -> list[tuple[str, Result]]:
    return [(one.claim, one.result) for one in world.journal.outcomes]


def test_every_outcome_is_recorded_and_what_a_phase_has_created_is_removed(world: StubbedWorld) -> None:
    role_goes(world)
    run(world, [phase(claim(make_role), claim(raising(DiffersError("it is\nnot")), "another"))])
    assert results(world) == [("a-claim", Result.AS_CLAIMED), ("another", Result.DIFFERS)]
    assert world.journal.outcomes[1].seen == "it is not"
    assert world.journal.made == []
    assert has_failed(world.journal)


def test_claims_after_a_blocking_claim_that_differs_are_not_run(world: StubbedWorld) -> None:
    broken = claim(raising(DiffersError("cdk deploy failed")), "deploys", blocks=True)
    run(world, [phase(broken, claim(make_role)), phase(claim(lambda _: "well"), name="two")])
    assert results(world) == [
        ("deploys", Result.DIFFERS),
        ("a-claim", Result.NOT_RUN),
        ("a-claim", Result.AS_CLAIMED),
    ]


def test_what_no_run_can_show_is_never_run(world: StubbedWorld) -> None:
    run(world, [phase(claim(raising(AssertionError()), "never", never="it takes a day"))])
    assert [(one.result, one.seen) for one in world.journal.outcomes] == [(Result.NOT_SHOWN, "it takes a day")]


def test_what_the_emulator_cannot_show_is_named_with_its_reason(world: StubbedWorld) -> None:
    world.is_rehearsal = True
    hidden = claim(raising(AssertionError()), not_on_emulator="it has none")
    never = claim(raising(AssertionError()), "never", never="it takes a day")
    run(world, [phase(hidden, never)])
    assert [(one.result, one.seen) for one in world.journal.outcomes] == [
        (Result.NOT_SHOWN, "it has none"),
        (Result.NOT_SHOWN, "it takes a day"),
    ]
    assert not has_failed(world.journal)


def refused(error_code: str, message: str = "no") -> Callable[[World], str]:
    def step(world: World) -> str:
        assert isinstance(world, StubbedWorld)
        world.responses.refuse("sqs", "list_queues", error_code, message)
        return str(world.client("sqs").list_queues())

    return step


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (raising(NoCredentialsError()), "no AWS credentials found"),
        (
            raising(EndpointConnectionError(endpoint_url="https://kms.xx.amazonaws.com")),
            "is this service in the region",
        ),
        (
            refused("AccessDenied", "not authorized"),
            "may not do that (ListQueues: not authorized): ask for the permission",
        ),
        (refused("UnauthorizedOperation"), "may not do that"),
        (refused("AuthorizationErrorException"), "may not do that"),
        (refused("OptInRequired"), "(ListQueues: OptInRequired): run aws sts get-caller-identity"),
        (refused("AuthFailure"), "see whether the region is enabled in this account"),
        (refused("ExpiredToken"), "the session has expired (ListQueues): sign in again, then run the same command"),
        (refused("VpcLimitExceeded", "5 VPCs"), "a quota is reached (ListQueues: 5 VPCs): ask AWS for more"),
        (refused("ServiceQuotaExceededException"), "a quota is reached"),
        (refused("EntityAlreadyExists", "role x"), "a name is taken (ListQueues: role x): choose another with NAME="),
        (raising(StopError("cdk destroy failed: it hangs")), "cdk destroy failed: it hangs"),
        (raising(KeyboardInterrupt()), "interrupted"),
    ],
)
def test_an_error_is_one_line_and_what_was_created_is_removed(
    step: Callable[[World], str], line: str, world: StubbedWorld
) -> None:
    role_goes(world)
    with pytest.raises(CutOffError) as caught:
        run(world, [phase(claim(make_role), claim(step, "stops"))])
    assert line in str(caught.value)
    assert str(caught.value).endswith("; everything that was created is removed")
    assert "\n" not in str(caught.value)
    assert world.journal.made == []


@pytest.mark.parametrize("second", ["ExpiredToken", "Ctrl-C"])
def test_if_removal_fails_too_its_command_is_printed_and_the_next_run_continues(
    second: str, world: StubbedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    if second == "ExpiredToken":
        world.responses.refuse("iam", "get_role", "ExpiredToken")
    else:
        monkeypatch.setitem(removal._REMOVERS, "role", lambda *_: raising(KeyboardInterrupt())(world))
    done = claim(lambda _: "well", "done")
    phases = [
        phase(done, name="first"),
        phase(claim(make_role), claim(refused("ExpiredToken"), "stops"), name="second"),
    ]
    with pytest.raises(CutOffError) as caught:
        run(world, phases)
    assert f"make prove-on-aws CLEAN_UP=1 NAME={NAME} REGION={REGION}" in str(caught.value)
    assert "what was created still exists" in str(caught.value)

    again = Journal.load(world.journal.path)
    assert again is not None
    assert again.made == [Made("role", "probe")]
    assert again.finished_phases == ["first"]
    monkeypatch.undo()
    world.journal = again
    role_goes(world)
    run(world, [phases[0], phase(claim(make_role), claim(lambda _: "now", "stops"), name="second")])
    assert results(world) == [
        ("done", Result.AS_CLAIMED),
        ("a-claim", Result.AS_CLAIMED),
        ("stops", Result.AS_CLAIMED),
    ]


def test_a_fault_of_the_program_is_a_traceback_after_the_removal(world: StubbedWorld, said: list[str]) -> None:
    role_goes(world)
    with pytest.raises(ZeroDivisionError):
        run(world, [phase(claim(make_role), claim(lambda _: str(1 // 0), "broken"))])
    assert said[-1] == "everything that was created is removed"


def test_a_run_that_continues_restores_what_the_last_one_had_changed(world: StubbedWorld) -> None:
    world._borrow("role-policy", "role/policy", "{}")
    world.responses.add("iam", "put_role_policy")
    run(world, [phase(claim(lambda _: "well"))])
    assert world.journal.borrowed == []
    world.responses.are_used_up()


def test_a_protected_system_is_removed(world: StubbedWorld) -> None:
    """The main stack is deleted. The table stack and the table are protected, and the stack retains the table."""
    world.journal.make("system", world.system)
    responses = world.responses
    responses.refuse("cloudformation", "describe_stacks", "ValidationError")
    stack = {"StackName": "s", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE"}
    responses.add("cloudformation", "describe_stacks", {"Stacks": [stack]})
    group = {
        "LogicalResourceId": "Flow",
        "PhysicalResourceId": "flow-logs",
        "ResourceType": "AWS::Logs::LogGroup",
        "LastUpdatedTimestamp": 0,
        "ResourceStatus": "CREATE_COMPLETE",
    }
    responses.add("cloudformation", "list_stack_resources", {"StackResourceSummaries": [group]})
    responses.add("cloudformation", "update_termination_protection", {"StackId": "s"})
    protected = {"Table": {"TableStatus": "ACTIVE", "DeletionProtectionEnabled": True}}
    free = {"Table": {"TableStatus": "ACTIVE"}}
    responses.add("dynamodb", "describe_table", protected)
    responses.add("dynamodb", "update_table")
    responses.add("dynamodb", "describe_table", free)
    responses.add("cloudformation", "delete_stack")
    responses.refuse("cloudformation", "describe_stacks", "ValidationError", "Stack s does not exist")
    responses.add("dynamodb", "describe_table", free)
    responses.add("dynamodb", "delete_table")
    responses.refuse("dynamodb", "describe_table", "ResourceNotFoundException")
    responses.add("logs", "delete_log_group")
    removal.remove_all(world)
    responses.are_used_up()
    assert world.journal.made == []


def moving(world: StubbedWorld, times: int, status: str = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS") -> None:
    stack = {"StackName": "s", "CreationTime": 0, "StackStatus": status}
    world.responses.add("cloudformation", "describe_stacks", {"Stacks": [stack]}, times)


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_ROLLBACK_IN_PROGRESS"])
def test_a_stack_that_takes_no_call_yet_is_waited_for(status: str, world: StubbedWorld) -> None:
    world.journal.make("system", world.system)
    moving(world, 2, status)
    world.responses.refuse("cloudformation", "describe_stacks", "ValidationError")
    world.responses.refuse("cloudformation", "describe_stacks", "ValidationError")
    world.responses.refuse("dynamodb", "describe_table", "ResourceNotFoundException")
    removal.remove_all(world)
    world.responses.are_used_up()
    assert world.journal.made == []


def test_an_update_that_never_ends_is_reported(world: StubbedWorld) -> None:
    world.journal.make("system", world.system)
    moving(world, 11)
    said = runner.clean_up(world)
    assert "what is under way with the stack proof-run-dev ends: not within 60 minutes" in said
    assert "make prove-on-aws CLEAN_UP=1" in said


STACK = {"StackName": "s", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE"}


def deleting(world: StubbedWorld) -> None:
    """The responses up to the deletion of a stack that can be deleted."""
    world.journal.make("system", world.system)
    world.responses.add("cloudformation", "describe_stacks", {"Stacks": [STACK]})
    world.responses.add("cloudformation", "list_stack_resources", {"StackResourceSummaries": []})
    world.responses.add("cloudformation", "update_termination_protection", {"StackId": "s"})
    world.responses.refuse("dynamodb", "describe_table", "ResourceNotFoundException")
    world.responses.add("cloudformation", "delete_stack")


def test_a_stack_that_cannot_be_deleted_is_reported(world: StubbedWorld) -> None:
    deleting(world)
    failed = {**STACK, "StackStatus": "DELETE_FAILED"}
    world.responses.add("cloudformation", "describe_stacks", {"Stacks": [failed]})
    said = runner.clean_up(world)
    assert "the stack proof-run-dev is not deleted" in said
    assert "make prove-on-aws CLEAN_UP=1" in said
    assert world.journal.made == [Made("system", "proof-run-dev")]


def test_a_session_that_expires_while_a_stack_is_deleted_is_said_to_have(world: StubbedWorld) -> None:
    deleting(world)
    world.responses.refuse("cloudformation", "describe_stacks", "ExpiredToken")
    said = runner.clean_up(world)
    assert "the session has expired (StackDeleteComplete): sign in again, then run the same command" in said
    assert "make prove-on-aws CLEAN_UP=1" in said


def test_a_queue_and_a_table_are_removed_and_missing_ones_are_ignored(world: StubbedWorld) -> None:
    for made in (Made("queue", "q"), Made("queue", "gone"), Made("table", "gone"), Made("log-group", "gone")):
        world.journal.make(made.kind, made.name)
    world.responses.refuse("logs", "delete_log_group", "ResourceNotFoundException")
    world.responses.refuse("dynamodb", "describe_table", "ResourceNotFoundException")
    world.responses.refuse("sqs", "get_queue_url", "AWS.SimpleQueueService.NonExistentQueue")
    world.responses.add("sqs", "get_queue_url", {"QueueUrl": "u"})
    world.responses.add("sqs", "delete_queue")
    removal.remove_all(world)
    world.responses.are_used_up()


def test_a_journal_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    for text in ("{", "[]", '{"name": "x"}'):
        path.write_text(text)
        with pytest.raises(StopError, match="cannot be read"):
            Journal.load(path)
    assert Journal.load(tmp_path / "none.json") is None


def test_the_page_has_every_outcome_and_no_whole_account_number(world: StubbedWorld) -> None:
    deploys = CLAIMS["deploys"]
    run(world, [phase(claim(lambda _: "a | b", deploys.id))])
    text = page(world.journal, CLAIMS, place="AWS", versions={"commit": "abc"})
    assert "| one | deploys | The stacks deploy" in text
    assert "as claimed | a \\| b |" in text
    assert ACCOUNT not in text
    assert "...3333" in text


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, world: StubbedWorld) -> Callable[..., str]:
    """Runs the command line with this world's responses, and returns its error, if any."""
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(command, "FOLDER", tmp_path)

    def this_world(journal: Journal, **_: object) -> StubbedWorld:
        world.journal = journal
        return world

    monkeypatch.setattr(command, "World", this_world)
    monkeypatch.setattr(command, "PHASES", [phase(claim(lambda _: "well", "deploys"))])

    def run_it(*words: str, response: str = "") -> str:
        monkeypatch.setattr("sys.argv", ["prove-on-aws", *words])
        monkeypatch.setattr("sys.stdin", __import__("io").StringIO(response + "\n"))
        try:
            command.entry()
        except SystemExit as ended:
            return str(ended.code or "")
        return ""

    return run_it


def identity(world: StubbedWorld) -> None:
    world.responses.add("sts", "get_caller_identity", {"Account": ACCOUNT})


def prepared(world: StubbedWorld, *, has_table: bool = False) -> None:
    """An account with the CDK's bootstrap stack and nothing of this app, except a table if wanted."""
    identity(world)
    toolkit = {"StackName": "CDKToolkit", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE"}
    world.responses.add("cloudformation", "describe_stacks", {"Stacks": [toolkit]})
    for _ in range(4):
        world.responses.refuse("cloudformation", "describe_stacks", "ValidationError")
    for _ in range(2):
        world.responses.refuse("iam", "get_role", "NoSuchEntity")
        world.responses.refuse("sqs", "get_queue_url", "AWS.SimpleQueueService.NonExistentQueue")
    if has_table:
        world.responses.add("dynamodb", "describe_table", {"Table": {}})
    else:
        world.responses.refuse("dynamodb", "describe_table", "ResourceNotFoundException")


def test_the_account_is_typed_and_the_page_written(
    typed: Callable[..., str], world: StubbedWorld, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepared(world)
    world.programs += [(0, "abc1234"), (0, "2.1148.1 (build x)")]
    assert typed("--region", REGION, response=ACCOUNT) == ""
    told = capfd.readouterr().err
    for said in (ACCOUNT, REGION, "less than a dollar", "half an hour", "not been timed on AWS", "cruddur-aws-proof"):
        assert said in told
    written = (tmp_path / "cruddur-aws-proof.md").read_text()
    assert "| where | AWS |" in written
    assert not (tmp_path / "cruddur-aws-proof.json").exists(), "nothing is left to continue"


def test_a_claim_that_differs_is_exit_status_1(
    typed: Callable[..., str], world: StubbedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PHASES", [phase(claim(raising(DiffersError("no")), "deploys"))])
    prepared(world)
    world.programs += [(128, "no repository"), (0, "2.1148.1")]
    assert typed("--region", REGION, "--yes") == "1"


@pytest.mark.parametrize(
    ("words", "response", "line"),
    [
        (["--name", "No"], "", "NAME is 'No'"),
        ([], "", "no AWS region is set"),
        (["--region", REGION, "--clean-up"], "", "no run called cruddur-aws-proof has left anything"),
        (["--region", REGION], "123", "not confirmed: '123' is not 111122223333, nothing was done"),
        (["--no-such-option"], "", "No such option"),
    ],
)
def test_a_users_error_is_one_line(
    words: list[str], response: str, line: str, typed: Callable[..., str], world: StubbedWorld
) -> None:
    prepared(world)
    assert line in typed(*words, response=response)


def test_an_endpoint_in_the_environment_is_refused(typed: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:4566")
    assert "AWS_ENDPOINT_URL is set, which is not AWS" in typed("--region", REGION)


def test_an_account_without_bootstrap_names_the_command(typed: Callable[..., str], world: StubbedWorld) -> None:
    identity(world)
    world.responses.refuse("cloudformation", "describe_stacks", "ValidationError")
    assert f"run npx cdk bootstrap aws://{ACCOUNT}/{REGION}" in typed("--region", REGION)


def test_a_name_that_is_taken_is_refused(typed: Callable[..., str], world: StubbedWorld) -> None:
    identity(world)
    stack = {"StackName": "s", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE"}
    world.responses.add("cloudformation", "describe_stacks", {"Stacks": [stack]}, times=3)
    assert "this account has a stack called cruddur-aws-proof-dev" in typed("--region", REGION)


def test_a_table_of_that_name_is_refused(typed: Callable[..., str], world: StubbedWorld) -> None:
    prepared(world, has_table=True)
    assert "this account has a table called cruddur-aws-proof" in typed("--region", REGION)


@pytest.mark.parametrize("kind", ["role", "queue"])
def test_what_the_removal_would_take_for_its_own_is_refused(
    kind: str, typed: Callable[..., str], world: StubbedWorld
) -> None:
    identity(world)
    toolkit = {"StackName": "CDKToolkit", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE"}
    world.responses.add("cloudformation", "describe_stacks", {"Stacks": [toolkit]})
    for _ in range(2):
        world.responses.refuse("cloudformation", "describe_stacks", "ValidationError")
    if kind == "role":
        role = {"Path": "/", "RoleName": "r", "RoleId": "AROAXXXXXXXXXXXXXXXXX", "Arn": "a" * 20, "CreateDate": 0}
        world.responses.add("iam", "get_role", {"Role": role})
        assert "this account has a role called cruddur-aws-proof-dev-probe" in typed("--region", REGION)
    else:
        world.responses.refuse("iam", "get_role", "NoSuchEntity")
        world.responses.add("sqs", "get_queue_url", {"QueueUrl": "u"})
        assert "this account has a queue called cruddur-aws-proof-dev-notices" in typed("--region", REGION)
    assert not (world.journal.path).exists()


def test_no_credentials_are_one_line(
    typed: Callable[..., str], world: StubbedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(_: StubbedWorld, __: str) -> None:
        raise NoCredentialsError

    monkeypatch.setattr(StubbedWorld, "client", without)
    assert "error: no AWS credentials found" in typed("--region", REGION)
    assert not world.journal.path.exists()


def test_a_machine_that_ends_the_run_leaves_nothing(
    typed: Callable[..., str], world: StubbedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(world: World) -> str:
        make_role(world)
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the run goes on")

    monkeypatch.setattr(command, "PHASES", [phase(claim(ended, "deploys"))])
    prepared(world)
    world.programs += [(0, "abc1234"), (0, "2.1148.1")]
    role_goes(world)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert "interrupted; everything that was created is removed" in typed("--region", REGION, "--yes")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert world.journal.made == []


def test_the_run_of_another_account_is_refused(typed: Callable[..., str], world: StubbedWorld, tmp_path: Path) -> None:
    Journal(tmp_path / "cruddur-aws-proof.json", "cruddur-aws-proof", "999988887777", REGION, "then").save()
    identity(world)
    assert "was interrupted in account 999988887777" in typed("--region", REGION)


def test_what_a_run_has_left_can_be_removed(typed: Callable[..., str], world: StubbedWorld, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "cruddur-aws-proof.json", "cruddur-aws-proof", ACCOUNT, REGION, "then")
    journal.make("role", "probe")
    identity(world)
    role_goes(world)
    assert typed("--region", REGION, "--clean-up") == ""
    assert not journal.path.exists()


def test_cdks_own_error_line_is_printed(world: StubbedWorld) -> None:
    world.programs.append((1, "error: account is 1, and your credentials belong to 2; set AWS_PROFILE"))
    with pytest.raises(DiffersError, match="credentials belong to 2"):
        world.cdk("deploy")


def test_a_program_that_is_not_installed_has_a_status(tmp_path: Path) -> None:
    made = world_in(tmp_path)
    status, said = World(made.journal, print, {}).run("no-such-program")
    assert status == 127
    assert "no-such-program" in said


def test_a_real_client_goes_to_aws_unless_an_endpoint_is_given(tmp_path: Path) -> None:
    made = world_in(tmp_path)
    real = World(made.journal, print, {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"})
    assert real.client("sts").meta.endpoint_url == f"https://sts.{REGION}.amazonaws.com"
    emulated = World(made.journal, print, {**real.environment, "AWS_ENDPOINT_URL": "http://localhost:1"})
    assert emulated.client("sts").meta.endpoint_url == "http://localhost:1"
    assert isinstance(real.session, boto3.Session)


def test_clients_are_made_one_at_a_time(tmp_path: Path) -> None:
    """People write in a thread of their own, and a session of boto3 is for one thread."""
    made = World(world_in(tmp_path).journal, print, {})

    class Session:
        def client(self, *_: object, **__: object) -> str:
            return "alone" if made._making_clients.locked() else "with others"

    session: Any = Session()
    assert made.client_of(session, "sts") == "alone"


def test_every_claim_is_described() -> None:
    text = described(CLAIMS.values())
    assert all(f"### {name}\n" in text for name in CLAIMS)
    assert all(one.how for one in CLAIMS.values())
    assert json.dumps(sorted(CLAIMS)) == json.dumps(sorted({one.id for one in CLAIMS.values()}))
