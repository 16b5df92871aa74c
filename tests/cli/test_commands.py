"""Every command does what its help says, on real engines; every error is one line with exit status 1 or 2."""

import io
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cruddur_cli import context
from cruddur_cli.capacity import CapacityMeter
from cruddur_cli.maintenance import rebuild
from cruddur_cli.maintenance.checkpoint import Checkpoint
from cruddur_cli.maintenance.repair import Repair, Repairer, Suspect
from cruddur_messages import schema
from cruddur_messages.seed import file as seed_file
from tests.access_patterns.people import items_of, person, without_versions
from tests.cli import damage
from tests.cli.conftest import Result
from tests.engines.fixtures import CruddurTable

At = Callable[..., Result]


@pytest.fixture
def seeded(at: At, cruddur_table: CruddurTable) -> CruddurTable:
    """A table with the seed."""
    assert at(cruddur_table, "seed").status == 0
    return cruddur_table


def test_a_table_is_created_and_deleted(
    at: At, ddb: At, cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{cruddur_table.name}-new"
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", cruddur_table.endpoint)
    created = ddb("schema-load", "--table", name, "--json")
    assert created.status == 0
    assert created.err == f"creating {name} at {cruddur_table.endpoint}\n"
    description = json.loads(created.out)
    assert (description["status"], description["keys"]) == ("ACTIVE", "pk (hash), sk (range)")
    assert (description["indexes"], description["stream"]) == (schema.INDEX_NAME, "NEW_IMAGE")
    described = json.loads(ddb("describe", name, "--json").out)
    assert (described["table"], described["deletion_protection"], described["time_to_live"]) == (
        name,
        "off",
        "expires_at",
    )
    assert described["encryption_key"] == "owned by AWS"
    assert described["point_in_time_recovery"] in ("off", "unknown: UnknownOperationException")
    assert name in json.loads(ddb("list-tables", "--json").out)
    assert name in ddb("list-tables").out
    again = ddb("schema-load", "--table", name)
    assert (again.status, "already exists" in again.err, "creating" in again.err) == (1, True, False)
    assert ddb("drop", name, "--yes").status == 0
    assert name not in json.loads(ddb("list-tables", "--json").out)
    assert at(cruddur_table, "describe").status == 0


@pytest.mark.parametrize("typed", ["", "yes\n", "cruddur-messages\n"])
def test_drop_wants_the_name_of_the_table(
    at: At, cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    result = at(cruddur_table, "drop")
    assert result.status == 1
    assert "ddb: not confirmed" in result.err
    monkeypatch.setattr("sys.stdin", io.StringIO(cruddur_table.name + "\n"))
    assert at(cruddur_table, "drop").status == 0
    assert cruddur_table.name not in cruddur_table.client.list_tables()["TableNames"]


def test_the_seed_is_loaded_correctly_and_once(at: At, seeded: CruddurTable) -> None:
    before = items_of(seeded)
    again = at(seeded, "seed", "--json")
    assert again.status == 0
    assert without_versions(items_of(seeded)) == without_versions(before)
    assert at(seeded, "verify").status == 0
    users = seed_file.parse_users(seed_file.USERS_PATH.read_text())
    inbox = json.loads(at(seeded, "list-conversations", users[0].handle, "--json").out)
    assert inbox["conversations"][0]["last_message_at"] >= inbox["conversations"][-1]["last_message_at"]


def test_people_edit_delete_leave_and_read(at: At, seeded: CruddurTable, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bo, cy = (user.handle for user in seed_file.load_users()[:3])

    def top(handle: str) -> Any:
        return json.loads(at(seeded, "list-conversations", handle, "--json").out)["conversations"][0]

    group = json.loads(at(seeded, "start", "lnch?", "--from", ann, "--to", bo, "--to", cy, "--json").out)[
        "message_group_uuid"
    ]
    assert at(seeded, "edit", group, "lunch?", "--from", bo).err.startswith("ddb: none of the newest 1000 messages of")
    assert "is edited" in at(seeded, "edit", group, "lunch?", "--from", ann).out
    assert (top(bo)["message"], top(bo)["unread"], sorted(top(bo)["members"])) == ("lunch?", 1, sorted([ann, bo, cy]))
    assert at(seeded, "read", group, "--of", bo).out == f"{bo} has read {group}\n"
    assert (top(bo)["unread"], top(cy)["unread"], top(ann)["unread"], top(ann)["is_group"]) == (0, 1, 0, True)
    at(seeded, "send", group, "oops", "--from", ann)
    assert at(seeded, "delete", group, "--from", ann, "--message", "x").status == 1
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    assert "not confirmed" in at(seeded, "delete", group, "--from", ann).err
    assert top(bo)["message"] == "oops"
    assert "is deleted" in at(seeded, "delete", group, "--from", ann, "--yes").out
    assert top(bo)["message"] == "lunch?"
    assert at(seeded, "leave", group, "--of", bo).out == f"{bo} has left {group}\n"
    refused = at(seeded, "get-conversation", group, "--of", bo)
    assert (refused.status, refused.err) == (1, f"ddb: user {bo} is not a member of conversation {group}\n")
    assert "is of two people and stays theirs" in at(seeded, "leave", bo, "--of", ann).err
    assert at(seeded, "verify").status == 0


def test_scan_gives_one_json_object_per_item(at: At, seeded: CruddurTable) -> None:
    lines = at(seeded, "scan", "--json").out.splitlines()
    keys = {(item["pk"], item["sk"]) for item in map(json.loads, lines)}
    assert keys == {(item["pk"]["S"], item["sk"]["S"]) for item in items_of(seeded)}
    assert len(keys) == len(lines)
    assert len(at(seeded, "scan", "--limit", "3").out.splitlines()) == 3
    assert len(at(seeded, "scan").out.splitlines()) == len(lines)


def test_people_send_and_read_messages(at: At, seeded: CruddurTable) -> None:
    users = seed_file.parse_users(seed_file.USERS_PATH.read_text())
    ann, bo, cy, dan = (user.handle for user in users[:4])
    started = json.loads(at(seeded, "start", "lunch?", "--from", ann, "--to", f"@{bo}", "--to", cy, "--json").out)
    group = started["message_group_uuid"]
    assert started["is_new"] is True
    sent = at(seeded, "send", group, "prod", "--from", bo, "--json")
    assert json.loads(sent.out)["message"] == "prod"
    assert sent.err == f"{bo} writes to {ann}, {cy} in {seeded.name} at {seeded.endpoint}\n"
    top = json.loads(at(seeded, "list-conversations", cy, "--limit", "1", "--json").out)["conversations"][0]
    assert (top["message_group_uuid"], top["message"]) == (group, "prod")
    read = json.loads(at(seeded, "get-conversation", group, "--json").out)
    assert [message["message"] for message in read["messages"]] == ["lunch?", "prod"]
    assert at(seeded, "send", group, "let me in", "--from", dan).status == 1
    assert at(seeded, "add-member", group, dan).status == 0
    assert at(seeded, "send", group, "thanks", "--from", dan).status == 0
    first = json.loads(at(seeded, "get-conversation", group, "--limit", "2", "--json").out)
    older = json.loads(at(seeded, "get-conversation", group, "--before", first["cursor"], "--json").out)
    assert [m["message"] for m in older["messages"] + first["messages"]] == ["lunch?", "prod", "thanks"]
    assert "thanks" in at(seeded, "get-conversation", "--of", dan).out
    assert at(seeded, "verify").status == 0


def test_two_who_have_a_conversation_continue_it(at: At, seeded: CruddurTable) -> None:
    users = seed_file.parse_users(seed_file.USERS_PATH.read_text())
    words = ("start", "hello", "--from", users[2].handle, "--to", users[3].handle)
    first, second = (json.loads(at(seeded, *words, "--json").out) for _ in range(2))
    assert first["message_group_uuid"] == second["message_group_uuid"]
    assert second["is_new"] is False
    assert "already" in at(seeded, *words).out


def test_watch_shows_the_inbox_as_it_changes(at: At, seeded: CruddurTable) -> None:
    result = at(seeded, "watch", "--for", "0.2", "--every", "0.1", "--json")
    assert result.status == 0
    (line,) = result.out.splitlines()
    listed = json.loads(at(seeded, "list-conversations", "--json").out)["conversations"]
    assert [
        {**watched, "unread": one["unread"], "members": one["members"]}
        for watched, one in zip(json.loads(line), listed, strict=True)
    ] == listed
    watched = at(seeded, "watch", "--for", "0")
    assert "last message" in watched.out
    assert watched.err == f"andrewbrown's inbox in {seeded.name} at {seeded.endpoint}; Ctrl-C ends it\n"


def test_consumed_capacity_is_printed_on_request(at: At, seeded: CruddurTable) -> None:
    assert at(seeded, "list-conversations", "--json").err == ""
    result = at(seeded, "list-conversations", "--capacity", "--json")
    json.loads(result.out)
    assert result.err.startswith("consumed: ")
    assert "1 BatchGetItem" in result.err


def test_a_message_cannot_steer_the_terminal(at: At, seeded: CruddurTable) -> None:
    group = json.loads(at(seeded, "get-conversation", "--json").out)["message_group_uuid"]
    assert at(seeded, "send", group, "\x1b[2J[red]\x07 boo\r\n!").status == 0
    for words in (("get-conversation", group), ("list-conversations",), ("scan",)):
        out = at(seeded, *words).out
        assert "[red]" in out
        assert all(character.isprintable() for character in out if character != "\n")


COMMANDS = (
    ("describe",),
    ("drop", "--yes"),
    ("seed",),
    ("scan",),
    ("list-conversations",),
    ("get-conversation",),
    ("send", "5ae290ed-55d1-47a0-bc6d-fe2bc2700399", "hi"),
    ("start", "hi", "--to", "bayko"),
    ("add-member", "5ae290ed-55d1-47a0-bc6d-fe2bc2700399", "bayko"),
    ("edit", "5ae290ed-55d1-47a0-bc6d-fe2bc2700399", "hi"),
    ("delete", "5ae290ed-55d1-47a0-bc6d-fe2bc2700399", "--yes"),
    ("leave", "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"),
    ("read", "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"),
    ("watch",),
    ("verify",),
    ("rebuild",),
    ("rebuild", "--dry-run"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_missing_table_is_one_line(at: At, ministack_table: CruddurTable, words: tuple[str, ...]) -> None:
    elsewhere = replace(ministack_table, name="no-such-table")
    result = at(elsewhere, *words)
    assert result.status == 1
    assert (result.err.startswith("ddb: there is no"), result.err.count("\n"), result.out) == (True, 1, "")


@pytest.mark.parametrize("words", [*COMMANDS, ("schema-load",), ("list-tables",)], ids=" ".join)
def test_no_endpoint_is_one_line(ddb: At, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    result = ddb(*words)
    assert result.status == 1
    assert result.err.startswith("ddb: nothing listens at ")
    assert result.err.count("\n") == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    unreachable = ddb(*words)
    assert unreachable.status == 1
    assert "ddb: Could not connect to the endpoint URL" in unreachable.err or "ConnectionError" in unreachable.err
    assert len(unreachable.err.splitlines()) <= 2


@pytest.mark.parametrize("words", ["list-tables prod", "scan --prod", "verify prod", "seed prod --yes"])
def test_no_credentials_and_no_region_are_one_line(ddb: At, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    assert "ddb: no AWS region is set" in ddb(*words.split()).err.splitlines()[-1]
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    result = ddb(*words.split())
    assert result.status == 1
    assert result.err.splitlines()[-1].startswith(("ddb: no AWS credentials found", "ddb: DynamoDB is not reachable"))


@pytest.mark.parametrize("words", ["seed prod", "rebuild prod", "drop prod", "drop cruddur-messages prod"])
def test_on_aws_the_name_must_be_typed_before_anything_is_written(
    ddb: At, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    monkeypatch.setattr(context.Context, "item_count", lambda _self: 0)
    monkeypatch.setattr(context.Context, "require_table", lambda _self: None)
    result = ddb(*words.split())
    assert result.status == 1
    assert result.err.splitlines()[0].endswith("cruddur-messages at AWS, us-east-1")
    assert result.err.splitlines()[-1].startswith("ddb: not confirmed: 'y' is not cruddur-messages, nothing was done")


def test_help_has_an_example_for_each_command(ddb: At) -> None:
    commands = {words[0] for words in COMMANDS} | {"schema-load", "list-tables", "redrive"}
    overview = ddb("--help").out
    for command in commands:
        assert f" {command} " in overview
        assert f"Example: bin/ddb {command}" in " ".join(ddb(command, "--help").out.split())
    assert ddb("-h").status == 0


def broken_table(table: CruddurTable) -> damage.Written:
    chance = random.Random(3)  # noqa: S311
    written = damage.write(table, chance, conversations=12, messages=3, sizes=(2,))
    damage.run_the_bootcamps_handler(table, written, chance)
    return written


def test_verify_reports_problems_and_rebuild_repairs_them(at: At, cruddur_table: CruddurTable) -> None:
    broken_table(cruddur_table)
    verified = at(cruddur_table, "verify", "--json")
    assert verified.status == 1
    report = json.loads(verified.out)
    assert report["ok"] is False
    assert sum(report["problems"].values()) > 3
    assert all(
        example.keys() == {"problem", "message_group_uuid", "member_uuid", "sort_key"} for example in report["examples"]
    )
    before = items_of(cruddur_table)
    previewed = at(cruddur_table, "rebuild", "--dry-run", "--json")
    assert previewed.status == 0
    assert sum(json.loads(previewed.out)["would_be_done"].values()) > 0
    assert items_of(cruddur_table) == before
    rebuilt = at(cruddur_table, "rebuild", "--json")
    assert rebuilt.status == 0
    assert json.loads(rebuilt.out)["ok"] is True
    assert rebuilt.err.splitlines()[0] == f"rebuilding {cruddur_table.name} at {cruddur_table.endpoint}"
    assert at(cruddur_table, "verify").status == 0


def test_hundreds_of_findings_are_summarized_with_examples(at: At, ministack_table: CruddurTable) -> None:
    secret = {"message": {"S": "secret words"}, "message_uuid": {"S": "1"}}
    for start in range(0, 300, 25):
        never: list[Any] = [
            {"pk": {"S": f"MSG#{uuid.UUID(int=number)}"}, "sk": {"S": f"never {number}"}, **secret}
            for number in range(start, start + 25)
        ]
        puts: Any = [{"PutRequest": {"Item": item}} for item in never]
        ministack_table.client.batch_write_item(RequestItems={ministack_table.name: puts})
    result = at(ministack_table, "verify")
    assert result.status == 1
    assert "300" in result.out
    assert "malformed timestamp" in result.out
    assert len(result.out.splitlines()) < 10
    assert "secret" not in result.out
    assert len(json.loads(at(ministack_table, "verify", "--json", "--examples", "7").out)["examples"]) == 7


def test_what_cannot_be_repaired_gives_exit_status_1(at: At, cruddur_table: CruddurTable) -> None:
    item = {"pk": {"S": "MSG#1"}, "sk": {"S": "sometime"}, "message": {"S": "x"}, "message_uuid": {"S": "1"}}
    cruddur_table.client.put_item(TableName=cruddur_table.name, Item=item)
    result = at(cruddur_table, "rebuild")
    assert result.status == 1
    assert "what is left cannot be repaired automatically" in result.err


def test_an_interrupted_rebuild_continues(
    at: At, cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken_table(cruddur_table)
    state = tmp_path / "state" / "left.jsonl"
    words = ("rebuild", "--state", str(state))
    repaired: list[str] = []
    repair = Repairer.repair

    def interrupted(self: Repairer, suspect: Suspect) -> Repair:
        if len(repaired) >= 3:
            raise KeyboardInterrupt
        repaired.append(suspect.message_group_uuid)
        return repair(self, suspect)

    monkeypatch.setattr(rebuild, "SIDE_BY_SIDE", 1)
    monkeypatch.setattr(Repairer, "repair", interrupted)
    stopped = at(cruddur_table, *words)
    assert stopped.status == 130
    assert stopped.err.splitlines()[-1] == "ddb: stopped"
    monkeypatch.setattr(Repairer, "repair", repair)
    left = Checkpoint(state).left()
    assert left
    assert {suspect.message_group_uuid for suspect in left}.isdisjoint(repaired)
    resumed = at(cruddur_table, *words)
    assert resumed.status == 0
    assert f"continuing an interrupted run: {len(left)} conversations are left" in resumed.err
    assert not state.exists()
    assert at(cruddur_table, "verify").status == 0


def test_a_state_file_with_other_contents_is_refused(at: At, ministack_table: CruddurTable, tmp_path: Path) -> None:
    state = tmp_path / "notes.txt"
    state.write_text('{"not": "ours"}\n')
    result = at(ministack_table, "rebuild", "--state", str(state))
    assert result.status == 1
    assert "is not a list of conversations to repair: delete it" in result.err
    assert at(ministack_table, "rebuild", "--state", str(state), "--restart").status == 0


def test_the_limit_applies_to_every_call_of_a_rebuild(
    at: At, cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_table(cruddur_table)
    rates: list[float | None] = []
    waited: list[float] = []

    def limited(rate: float | None) -> CapacityMeter:
        rates.append(rate)
        return CapacityMeter(rate, sleep=waited.append)

    monkeypatch.setattr(context, "CapacityMeter", limited)
    assert at(cruddur_table, "rebuild", "--units-per-second", "1").status == 0
    assert rates == [1.0]
    assert waited


def test_where_a_command_acts_is_printed_without_a_call(ddb: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    told = json.loads(ddb("where", "--table", "other", "--json").out)
    assert (told["table"], told["at"]) == ("other", "http://127.0.0.1:9")
    assert told["because"] == "AWS_ENDPOINT_URL_DYNAMODB is set"
    assert "because" in ddb("where").out
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    told = json.loads(ddb("where", "prod", "--json").out)
    assert (told["at"], told["because"]) == ("AWS, eu-west-1", "--prod is given")


def test_the_users_and_the_seed_of_the_running_system_are_known(
    ddb: At, ministack_table: CruddurTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    users = [{"uuid": person(name).uuid, "display_name": name, "handle": name} for name in ("zoe", "yan")]
    (tmp_path / "users.json").write_text(json.dumps(users))
    (tmp_path / "seed.txt").write_text("Person 1: hello from a seed of their own\nPerson 2: hi\n")
    system = {
        "endpoint": ministack_table.endpoint,
        "table_name": ministack_table.name,
        "users_file": str(tmp_path / "users.json"),
        "seed_file": str(tmp_path / "seed.txt"),
        "settings": "seed_users_file=users.json",
        "kept": "yes",
    }
    (tmp_path / "system.json").write_text(json.dumps(system))
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_table.endpoint)
    assert "2 messages written" in ddb("seed").out
    assert "hello from a seed of their own" in ddb("list-conversations", "zoe").out
    assert "known are zoe, yan" in ddb("list-conversations", "bayko").err
    told = json.loads(ddb("where", "--json").out)
    assert (told["kept_over_make_down"], told["settings"]) == ("yes", "seed_users_file=users.json")
    (tmp_path / "users.json").unlink()
    assert "users.json: cannot be read" in ddb("list-conversations", "zoe").err


def test_no_help_shows_the_type_of_a_flag(ddb: At) -> None:
    for words in (("--help",), *((command[0], "--help") for command in COMMANDS)):
        assert "bool" not in ddb(*words).out


def test_an_unknown_id_is_shown_as_it_is(at: At, ministack_table: CruddurTable) -> None:
    result = at(ministack_table, "list-conversations", person("ann").uuid)
    assert (result.status, result.out) == (1, "")
