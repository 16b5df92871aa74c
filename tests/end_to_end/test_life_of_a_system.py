"""The README's commands from `make up` to `make down`, in order: each test needs those before it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from cruddur_messages import schema
from cruddur_messages.seed.file import SeedConversation, load
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import items_in
from tests.aws.account import Account
from tests.end_to_end import hostile
from tests.end_to_end.checkout import Checkout
from tests.end_to_end.inboxes import await_exact

STACKS = [f"cruddur-messages-local{part}" for part in ("", "-table", "-seed")]
CONVERSATIONS = "lambda/cruddur_messages/seed/data/conversations.txt"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    with hostile.proxy() as (proxy, asked):
        made = Checkout.make(tmp_path_factory.mktemp("checkout"), proxy=proxy)
        yield made
        made.make_target("down")
        assert asked == [], "something has left this machine"


@pytest.fixture(scope="module")
def seeded() -> tuple[SeedConversation, ...]:
    return load()


@pytest.fixture(scope="module")
def printed(checkout: Checkout) -> str:
    """The output of the first `make up`."""
    return checkout.make_target("up").stdout


@pytest.fixture(scope="module")
def connection(checkout: Checkout, printed: str) -> Account:
    """Clients of the system that `make up` runs."""
    assert printed
    return checkout.account()


def versions(connection: Account) -> dict[str, Any]:
    """The time of the last change of each stack."""
    stacks = connection.client("cloudformation").describe_stacks()["Stacks"]
    return {s["StackName"]: s.get("LastUpdatedTime", s["CreationTime"]) for s in stacks if s["StackName"] in STACKS}


def test_up_shows_a_conversation_move_to_the_top(printed: str, connection: Account) -> None:
    before, after = re.split("a moment later", printed)
    sent = "Sent by make up"
    rows_before = [line for line in before.splitlines() if line.startswith("│")]
    rows_after = [line for line in after.splitlines() if line.startswith("│")]
    assert len(rows_before) == len(rows_after) >= 2
    assert not any(sent in row for row in rows_before)
    assert sent in rows_after[0]
    assert "make down" in after
    assert await_exact(connection.client("dynamodb"))


def test_the_environment_points_to_the_system(
    checkout: Checkout, connection: Account, seeded: tuple[SeedConversation, ...]
) -> None:
    conversation = seeded[-1]
    sent = MessageStore(client=connection.client("dynamodb"), table_name=schema.TABLE_NAME).send(
        conversation.message_group_uuid, sender=conversation.members[-1], message="By hand"
    )
    found = await_exact(connection.client("dynamodb"))
    rows = [item for item in found if item["pk"]["S"].startswith(schema.GROUP_ROW_PREFIX)]
    shown = [row for row in rows if row.get("message_uuid") == {"S": sent.message_uuid}]
    assert len(shown) == len(conversation.members)
    logged = [
        json.loads(line) for line in checkout.make_target("logs", "JSON=1").stdout.splitlines() if line.startswith("{")
    ]
    assert any(line["event"] == "batch_settled" and line["rows_moved"] for line in logged)
    assert "By hand" not in json.dumps(logged)


@pytest.mark.proof
def test_up_again_changes_no_stack(checkout: Checkout, connection: Account) -> None:
    before = versions(connection)
    assert set(before) == set(STACKS)
    checkout.make_target("up")
    assert versions(connection) == before


@pytest.mark.proof
def test_a_change_of_the_function_changes_the_main_stack_alone(checkout: Checkout, connection: Account) -> None:
    functions = connection.client("lambda")
    name = "cruddur-messages-local-projection"
    code = functions.get_function(FunctionName=name)["Configuration"]["CodeSha256"]
    before = versions(connection)
    entry = checkout.folder / "lambda/cruddur_messages/projection/handler.py"
    entry.write_text(entry.read_text() + "\n# changed\n")
    checkout.make_target("up")
    assert functions.get_function(FunctionName=name)["Configuration"]["CodeSha256"] != code
    changed = [stack for stack, when in versions(connection).items() if when != before[stack]]
    assert changed == ["cruddur-messages-local"]
    await_exact(connection.client("dynamodb"))


def test_a_changed_seed_file_replaces_what_the_old_one_loaded_and_nothing_else(
    checkout: Checkout, connection: Account, seeded: tuple[SeedConversation, ...]
) -> None:
    file = checkout.folder / CONVERSATIONS
    old = seeded[0].messages[-1].message
    file.write_text(file.read_text().replace(old, "A line that has been changed."))
    checkout.make_target("up")
    found = await_exact(connection.client("dynamodb"))
    texts = [item["message"]["S"] for item in found if "message" in item]
    assert old not in texts
    assert texts.count("A line that has been changed.") >= 1
    assert "By hand" in texts


def test_a_wrong_line_is_refused_with_its_number_before_anything_changes(
    checkout: Checkout, connection: Account
) -> None:
    file = checkout.folder / CONVERSATIONS
    good = file.read_text()
    before = versions(connection)
    file.write_text(good + "Persn 1: hello\n")
    refused = checkout.make_target("up", succeeds=False)
    file.write_text(good)
    assert f"line {len(good.splitlines()) + 1}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert versions(connection) == before


@pytest.mark.proof
def test_destroying_the_seed_removes_what_it_loaded(
    checkout: Checkout, connection: Account, seeded: tuple[SeedConversation, ...]
) -> None:
    loaded = {message.message_uuid for conversation in seeded for message in conversation.messages}
    checkout.cdk("destroy", STACKS[-1], "--force")
    left = items_in(connection.client("dynamodb"))
    messages = [item for item in left if item["pk"]["S"].startswith(schema.MESSAGE_PREFIX)]
    rows = [item for item in left if item["pk"]["S"].startswith(schema.GROUP_ROW_PREFIX)]
    assert {item["message_uuid"]["S"] for item in messages}.isdisjoint(loaded)
    assert "By hand" in [item["message"]["S"] for item in messages]
    groups = {item["pk"]["S"].removeprefix(schema.MESSAGE_PREFIX) for item in messages}
    assert {row["message_group_uuid"]["S"] for row in rows} == groups
    await_exact(connection.client("dynamodb"))


def test_destroying_everything_leaves_nothing(checkout: Checkout, connection: Account) -> None:
    checkout.cdk("destroy", "--all", "--force")
    stacks = connection.client("cloudformation").describe_stacks()["Stacks"]
    assert [stack["StackName"] for stack in stacks if stack["StackName"] in STACKS] == []
    assert connection.client("dynamodb").list_tables()["TableNames"] == []
    assert connection.client("lambda").list_functions()["Functions"] == []
    assert connection.client("lambda").list_event_source_mappings()["EventSourceMappings"] == []
    assert connection.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/cruddur")["logGroups"] == []
    assert connection.client("sqs").list_queues().get("QueueUrls", []) == []
    assert connection.client("ssm").get_parameters_by_path(Path="/cruddur-messages-local")["Parameters"] == []
    with pytest.raises(ClientError, match="NoSuchEntity"):
        connection.client("iam").get_role(RoleName="cruddur-messages-local-projection-us-east-1")


def test_down_leaves_no_process_and_no_file(checkout: Checkout) -> None:
    state = json.loads((checkout.folder / ".local/emulator.json").read_text())
    checkout.make_target("down")
    assert not psutil.pid_exists(state["pid"]) or abs(psutil.Process(state["pid"]).create_time() - state["born"]) > 60
    assert [file.name for file in (checkout.folder / ".local").iterdir() if file.name != "lock"] == []
