"""Every command does what its help says, on real engines; every error is one line with exit status 1 or 2."""

import io
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cruddur_cli import context
from cruddur_cli.capacity import CapacityMeter
from cruddur_cli.commands import watch
from cruddur_cli.maintenance import rebuild
from cruddur_cli.maintenance.checkpoint import Checkpoint, identity
from cruddur_cli.maintenance.repair import Repair, Repairer, Suspect
from cruddur_messages import schema
from cruddur_messages.seed import file as seed_file
from tests.access_patterns.people import items_of, person, without_versions
from tests.cli import damage
from tests.cli.conftest import At, Ddb
from tests.engines.fixtures import CruddurTable


def test_a_table_is_created_and_deleted(
    at: At, ddb: Ddb, cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{cruddur_table.name}-new"
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", cruddur_table.endpoint)
    created = ddb("schema-load", "--table", name, "--json")
    assert created.status == 0
    assert created.err == f"creating {name} at {cruddur_table.endpoint}\n"
    assert created.json.items() >= {"status": "ACTIVE", "keys": "pk (hash), sk (range)", "stream": "NEW_IMAGE"}.items()
    described = ddb("describe", name, "--json").json
    assert described.pop("point_in_time_recovery") in ("off", "unknown: UnknownOperationException")
    assert (
        described.items()
        >= {
            "table": name,
            "indexes": schema.INDEX_NAME,
            "deletion_protection": "off",
            "time_to_live": "expires_at",
            "encryption_key": "owned by AWS",
        }.items()
    )
    assert name in ddb("list-tables", "--json").json
    assert name in ddb("list-tables").out
    again = ddb("schema-load", "--table", name)
    assert (again.status, "already exists" in again.err, "creating" in again.err) == (1, True, False)
    assert ddb("drop", name, "--yes").status == 0
    assert name not in ddb("list-tables", "--json").json
    assert at(cruddur_table, "describe").status == 0


def test_drop_wants_the_name_of_the_table(at: At, cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch) -> None:
    for typed in ("", "yes\n", "cruddur-messages\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        result = at(cruddur_table, "drop")
        assert result.status == 1
        assert "ddb: not confirmed" in result.err
    monkeypatch.setattr("sys.stdin", io.StringIO(cruddur_table.name + "\n"))
    assert at(cruddur_table, "drop").status == 0
    assert cruddur_table.name not in cruddur_table.client.list_tables()["TableNames"]


def test_the_seed_is_loaded_correctly_and_once(at: At, cruddur_table: CruddurTable) -> None:
    assert at(cruddur_table, "seed").status == 0
    before = items_of(cruddur_table)
    assert at(cruddur_table, "seed", "--json").status == 0
    assert without_versions(items_of(cruddur_table)) == without_versions(before)
    assert at(cruddur_table, "verify").status == 0
    inbox = at(cruddur_table, "list-conversations", seed_file.load_users()[0].handle, "--json").json
    assert inbox["conversations"][0]["last_message_at"] >= inbox["conversations"][-1]["last_message_at"]


def test_people_edit_delete_leave_and_read(at: At, seeded: CruddurTable, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bo, cy = (user.handle for user in seed_file.load_users()[:3])

    def top(handle: str) -> Any:
        return at(seeded, "list-conversations", handle, "--json").json["conversations"][0]

    group = at(seeded, "start", "lnch?", "--from", ann, "--to", bo, "--to", cy, "--json").json["message_group_uuid"]
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


def test_scan_gives_one_json_object_per_item(at: At, seeded: CruddurTable) -> None:
    lines = at(seeded, "scan", "--json").out.splitlines()
    keys = {(item["pk"], item["sk"]) for item in map(json.loads, lines)}
    assert keys == {(item["pk"]["S"], item["sk"]["S"]) for item in items_of(seeded)}
    assert len(keys) == len(lines)
    assert len(at(seeded, "scan", "--limit", "3").out.splitlines()) == 3
    assert len(at(seeded, "scan").out.splitlines()) == len(lines)


def test_people_send_and_read_messages(at: At, seeded: CruddurTable) -> None:
    ann, bo, cy, dan = (user.handle for user in seed_file.load_users()[:4])
    started = at(seeded, "start", "lunch?", "--from", ann, "--to", f"@{bo}", "--to", cy, "--json").json
    group = started["message_group_uuid"]
    assert started["is_new"] is True
    sent = at(seeded, "send", group, "prod", "--from", bo, "--json")
    assert sent.json["message"] == "prod"
    assert sent.err == f"{bo} writes to {ann}, {cy} in {seeded.name} at {seeded.endpoint}\n"
    top = at(seeded, "list-conversations", cy, "--limit", "1", "--json").json["conversations"][0]
    assert (top["message_group_uuid"], top["message"]) == (group, "prod")
    read = at(seeded, "get-conversation", group, "--json").json
    assert [message["message"] for message in read["messages"]] == ["lunch?", "prod"]
    assert at(seeded, "send", group, "let me in", "--from", dan).status == 1
    assert at(seeded, "add-member", group, dan).status == 0
    assert at(seeded, "send", group, "thanks", "--from", dan).status == 0
    first = at(seeded, "get-conversation", group, "--limit", "2", "--json").json
    older = at(seeded, "get-conversation", group, "--before", first["cursor"], "--json").json
    assert [m["message"] for m in older["messages"] + first["messages"]] == ["lunch?", "prod", "thanks"]
    assert "thanks" in at(seeded, "get-conversation", "--of", dan).out


def test_two_who_have_a_conversation_continue_it(at: At, seeded: CruddurTable) -> None:
    words = ("start", "hello", "--from", "bayko", "--to", "mina")
    first, second = (at(seeded, *words, "--json").json for _ in range(2))
    assert first["message_group_uuid"] == second["message_group_uuid"]
    assert second["is_new"] is False
    assert "already" in at(seeded, *words).out


def test_watch_shows_the_inbox(at: At, seeded: CruddurTable) -> None:
    watched = at(seeded, "watch", "--for", "0", "--json")
    (line,) = watched.out.splitlines()
    listed = at(seeded, "list-conversations", "--json").json["conversations"]
    assert [
        {**shown, "unread": one["unread"], "members": one["members"]}
        for shown, one in zip(json.loads(line), listed, strict=True)
    ] == listed
    assert watched.err == f"andrewbrown's inbox in {seeded.name} at {seeded.endpoint}; Ctrl-C ends it\n"


def test_watch_marks_what_is_new(at: At, seeded: CruddurTable, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def wait(reading: context.Context, until: float) -> None:
        waits.append(until)
        if len(waits) == 2:
            raise KeyboardInterrupt
        reader = reading.user(None)
        group = reading.conversations.resolve("mina", reader)
        reading.store.send(group, sender=reader, message="brand new")
        reading.settle_where_no_lambda_does([group])

    monkeypatch.setattr(watch, "_sleep_while_read", wait)
    watched = at(seeded, "watch")
    assert watched.status == 130
    lines = watched.out.splitlines()
    (marked,) = (line for line in lines if line.startswith("*"))
    assert "brand new" in marked
    assert lines.index(marked) > len(lines) // 2


def test_consumed_capacity_is_printed_on_request(at: At, seeded: CruddurTable) -> None:
    assert at(seeded, "list-conversations", "--json").err == ""
    result = at(seeded, "list-conversations", "--capacity", "--json")
    assert result.json
    assert result.err.startswith("consumed: ")
    assert "1 BatchGetItem" in result.err


def test_a_message_cannot_steer_the_terminal(at: At, seeded: CruddurTable) -> None:
    sent = at(seeded, "start", "\x1b[2J[red]\x07 boo\r\n!", "--to", "bayko", "--to", "tomas", "--json").json
    group = sent["message_group_uuid"]
    for words in (("get-conversation", group), ("list-conversations",), ("scan",), ("delete", group, "--yes")):
        result = at(seeded, *words)
        out = result.out + result.err
        assert "[red]" in out
        assert all(character.isprintable() for character in out if character != "\n")


GROUP = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
COMMANDS = (
    ("describe",),
    ("drop", "--yes"),
    ("seed",),
    ("scan",),
    ("list-conversations",),
    ("get-conversation",),
    ("send", GROUP, "hi"),
    ("start", "hi", "--to", "bayko"),
    ("add-member", GROUP, "bayko"),
    ("edit", GROUP, "hi"),
    ("delete", GROUP, "--yes"),
    ("leave", GROUP),
    ("read", GROUP),
    ("watch",),
    ("verify",),
    ("rebuild",),
    ("rebuild", "--dry-run"),
    ("export-table", "/nowhere"),
    ("person", "export", "bayko"),
    ("person", "refresh", "bayko"),
    ("person", "erase", "bayko"),
    ("smoke",),
)


def test_a_missing_table_is_one_line(at: At, ministack_table: CruddurTable) -> None:
    elsewhere = replace(ministack_table, name="no-such-table")
    for words in COMMANDS:
        result = at(elsewhere, *words)
        assert result.status == 1, words
        assert (result.err.startswith("ddb: there is no"), result.err.count("\n"), result.out) == (True, 1, ""), result


def test_no_endpoint_is_one_line(ddb: Ddb, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (*COMMANDS, ("schema-load",), ("list-tables",)):
        result = ddb(*words)
        assert result.status == 1, words
        assert result.err.startswith("ddb: nothing listens at "), words
        assert result.err.count("\n") == 1, words
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    for words in (*COMMANDS, ("schema-load",), ("list-tables",)):
        unreachable = ddb(*words)
        assert unreachable.status == 1, words
        assert "ddb: Could not connect to the endpoint URL" in unreachable.err, words
        assert len(unreachable.err.splitlines()) <= 2, words


@pytest.mark.parametrize("words", ["list-tables prod", "scan --prod", "verify prod", "seed prod --yes"])
def test_no_credentials_and_no_region_are_one_line(ddb: Ddb, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    assert "ddb: no AWS region is set" in ddb(*words.split()).err.splitlines()[-1]
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    result = ddb(*words.split())
    assert result.status == 1
    assert result.err.splitlines()[-1].startswith(("ddb: no AWS credentials found", "ddb: DynamoDB is not reachable"))


@pytest.mark.parametrize("words", ["seed prod", "rebuild prod", "drop prod", "drop cruddur-messages prod"])
def test_on_aws_the_name_must_be_typed_before_anything_is_written(
    ddb: Ddb, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    monkeypatch.setattr(context.Context, "item_count", lambda _self: 0)
    monkeypatch.setattr(context.Context, "require_table", lambda _self: None)
    result = ddb(*words.split())
    assert result.status == 1
    assert result.err.splitlines()[0].endswith("cruddur-messages at AWS, us-east-1")
    assert result.err.splitlines()[-1].startswith("ddb: not confirmed: 'y' is not cruddur-messages, nothing was done")


def test_help_has_an_example_for_each_command_and_no_types_of_flags(ddb: Ddb) -> None:
    overview = ddb("--help").out
    assert "bool" not in overview
    for words in (*COMMANDS, ("schema-load",), ("list-tables",), ("redrive",), ("where",)):
        command = words[:2] if words[0] == "person" else words[:1]
        assert f" {words[0]} " in overview
        shown = ddb(*command, "--help").out
        assert f"Example: bin/ddb {' '.join(command)}" in " ".join(shown.split())
        assert "bool" not in shown
    assert ddb("-h").status == 0


def broken_table(table: CruddurTable) -> damage.Written:
    chance = random.Random(3)  # noqa: S311
    written = damage.write(table, chance, conversations=12, messages=3, sizes=(2,))
    damage.run_the_bootcamps_handler(table, written, chance)
    return written


def test_verify_reports_problems_and_rebuild_repairs_them(
    at: At, cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken_table(cruddur_table)
    (tmp_path / "findings").mkdir()
    monkeypatch.chdir(tmp_path / "findings")
    verified = at(cruddur_table, "verify", "--json", "--findings", "all.jsonl")
    assert (verified.status, verified.json["ok"]) == (1, False)
    assert sum(verified.json["problems"].values()) > 3
    assert all(
        example.keys() == {"problem", "message_group_uuid", "member_uuid", "sort_key"}
        for example in verified.json["examples"]
    )
    before = items_of(cruddur_table)
    previewed = at(cruddur_table, "rebuild", "--dry-run", "--json")
    assert (previewed.status, items_of(cruddur_table)) == (0, before)
    assert sum(previewed.json["would_be_done"].values()) > 0
    rebuilt = at(cruddur_table, "rebuild", "--json")
    assert (rebuilt.status, rebuilt.json["ok"]) == (0, True)
    assert rebuilt.err.splitlines()[0] == f"rebuilding {cruddur_table.name} at {cruddur_table.endpoint}"
    assert at(cruddur_table, "rebuild", "--findings", ".").status == 0
    assert at(cruddur_table, "verify").status == 0


def test_many_findings_are_summarized_with_examples(at: At, ministack_table: CruddurTable) -> None:
    secret = {"message": {"S": "secret words"}, "message_uuid": {"S": "1"}}
    puts: Any = [
        {"PutRequest": {"Item": {"pk": {"S": f"GRP#{number}"}, "sk": {"S": f"never {number}"}, **secret}}}
        for number in range(25)
    ]
    ministack_table.client.batch_write_item(RequestItems={ministack_table.name: puts})
    result = at(ministack_table, "verify")
    assert result.status == 1
    assert "25" in result.out
    assert "malformed item" in result.out
    assert len(result.out.splitlines()) < 10
    assert "secret" not in result.out
    assert len(at(ministack_table, "verify", "--json", "--examples", "7").json["examples"]) == 7


def test_an_interrupted_rebuild_continues(
    at: At, cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken_table(cruddur_table)
    state = tmp_path / "state" / "remaining.jsonl"
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
    assert (stopped.status, stopped.err.splitlines()[-1]) == (130, "ddb: stopped")
    faults = iter(["TransactionConflict"])

    def failing_once(self: Repairer, suspect: Suspect) -> Repair:
        fault = next(faults, None)
        return Repair(suspect.message_group_uuid, failure=fault) if fault else repair(self, suspect)

    monkeypatch.setattr(Repairer, "repair", failing_once)
    table = identity(cruddur_table.client.describe_table(TableName=cruddur_table.name)["Table"])
    remaining = Checkpoint(state, lambda: table).remaining()
    assert remaining
    assert {suspect.message_group_uuid for suspect in remaining}.isdisjoint(repaired)
    lines = state.read_text()
    for contents, said in (
        (lines.replace(table["tableArn"], "another", 1), "is what a rebuild of another table (another) has left to do"),
        (lines.replace(table["created"], "another", 1), "is what a rebuild of another table ("),
        ('{"not": "ours"}\n', "is not a list of conversations to repair: delete it"),
    ):
        state.write_text(contents)
        refused = at(cruddur_table, *words)
        assert (refused.status, said in refused.err) == (1, True), refused.err
    state.write_text(lines)
    resumed = at(cruddur_table, *words)
    assert resumed.status == 0
    assert f"continuing an interrupted run: {len(remaining)} conversations are left" in resumed.err
    assert "is not settled" not in resumed.err
    assert not state.exists()
    state.write_text("nothing of ours\n")
    assert at(cruddur_table, *words, "--restart").status == 0
    assert at(cruddur_table, "verify").status == 0


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


def test_where_a_command_acts_is_printed_without_a_call(ddb: Ddb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    told = ddb("where", "--table", "other", "--json").json
    assert (told["table"], told["at"]) == ("other", "http://127.0.0.1:9")
    assert told["because"] == "AWS_ENDPOINT_URL_DYNAMODB is set"
    assert "because" in ddb("where").out
    assert ddb("where", "--table", "").status == 2
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    told = ddb("where", "prod", "--json").json
    assert (told["at"], told["because"]) == ("AWS, eu-west-1", "--prod is given")


def test_the_users_and_the_seed_of_the_running_system_are_known(
    ddb: Ddb, ministack_table: CruddurTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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
    told = ddb("where", "--json").json
    assert (told["kept_over_make_down"], told["settings"]) == ("yes", "seed_users_file=users.json")
    (tmp_path / "users.json").unlink()
    assert "users.json: cannot be read" in ddb("list-conversations", "zoe").err
