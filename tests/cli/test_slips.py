"""Errors of new users: each is refused with one line that says what to do, and nothing is written."""

from pathlib import Path

import pytest

from cruddur_messages.seed import file as seed_file
from tests.access_patterns.people import items_of
from tests.cli.conftest import At, Ddb
from tests.engines.fixtures import CruddurTable

PAIR = "2c8cfd87-e3c0-5ade-a324-c64f93c6000e"
"""The seed's conversation of andrewbrown and bayko."""

Slips = list[tuple[tuple[str, ...], str]]

WRONG_USE: Slips = [
    ((), "No such option: --table"),
    (("send",), "Missing argument"),
    (("send", "hello"), "no conversation is named"),
    (("send", "bayko", "two", "words"), "quotation marks"),
    (("send", "--to", "bayko", "two", "words"), "quotation marks"),
    (("start", "hi"), "--to"),
    (("list-conversations", "--limit", "0"), "--limit"),
    (("list-conversations", "--limit", "1001"), "--limit"),
    (("watch", "--every", "0"), "--every"),
    (("watch", "--for", "-1"), "--for"),
    (("verify", "--examples", "-1"), "--examples"),
    (("rebuild", "--units-per-second", "-5"), "--units-per-second"),
    (("rebuild", "--dry-run", "--restart"), "--dry-run changes nothing"),
    (("rebuild", "--dry-run", "--state", "x"), "--dry-run changes nothing"),
    (("scan", "--limit", "-1"), "--limit"),
    (("describe", "one", "two"), "unexpected"),
    (("drop", "", "--yes"), "Invalid value for 'TABLE': it is empty; name a table, or leave this out"),
    (("seed", "nonprod"), "nonprod"),
    (("list-tables", "--table", "x"), "No such option"),
    (("send", PAIR, "half an \ud83d"), "a word is not text in UTF-8"),
    (("list-conversations", "\udcff"), "a word is not text in UTF-8"),
    (("LIST-CONVERSATIONS",), "No such command"),
]

REFUSED: Slips = [
    (("list-conversations", "--before", "@@@"), "'@@@' is not a cursor"),
    (("list-conversations", "--before", ""), "'' is not a cursor"),
    (("get-conversation", PAIR, "--before", "\x1b[2J"), "is not a cursor"),
    (("get-conversation", "nobody"), "'nobody' is neither a conversation nor a person"),
    (("get-conversation", ""), "'' is neither a conversation nor a person"),
    (("get-conversation", "@"), "'@' is neither a conversation nor a person"),
    (("get-conversation", "000"), "no conversation of andrewbrown starts with '000'"),
    (("get-conversation", PAIR + "0"), "is neither a conversation nor a person"),
    (("get-conversation", PAIR.replace("2", "3")), "has no message"),
    (("get-conversation", PAIR, "--of", "mina"), "user mina is not a member of conversation"),
    (("get-conversation", "andrewbrown"), "andrewbrown has no conversation with themselves"),
    (("get-conversation", "--of", "nobody"), "nobody is called 'nobody'"),
    (("list-conversations", ""), "nobody is called ''"),
    (("list-conversations", PAIR), f"nobody is called '{PAIR}'"),  # an id that no user and no member has
    (("list-conversations", "@@bayko"), "nobody is called '@@bayko'"),
    (("send", PAIR, "\t\n \u2003"), "the message is blank"),
    (("send", PAIR, "x" * 1025), "shorten it to 1024"),
    (("send", PAIR, "hi", "--from", "mina"), "user mina is not a member of conversation"),
    (("send", "--to", "mina", "hi", "--from", "tomas"), "bin/ddb start MESSAGE --from tomas --to mina starts one"),
    (("start", " ", "--to", "bayko"), "the message is blank"),
    (("start", "hi", "--to", "bayko", "--to", "@Bayko"), "user bayko is named twice"),
    (("start", "hi", "--to", "andrewbrown"), "user andrewbrown is named twice"),
    (("redrive",), "which failure queue? name it with --queue URL"),
    (("add-member", PAIR.replace("2", "3"), "mina"), "there is no conversation"),
    (("redrive", "--queue", "nonsense"), ""),
    (("rebuild", "--state", "."), ". is not a file"),
    (("rebuild", "--state", "/proc/nowhere/state"), "cannot be written"),
    (("rebuild", "--state", "/sys/left"), "cannot be written"),  # where nobody makes files, root neither
    (("drop", "x", "--yes"), "two tables are named: x and"),
]


@pytest.mark.parametrize(("status", "slips"), [(2, WRONG_USE), (1, REFUSED)], ids=["wrong use", "refused"])
def test_a_slip_is_one_line_and_changes_nothing(at: At, seeded: CruddurTable, status: int, slips: Slips) -> None:
    before = items_of(seeded)
    for words, why in slips:
        result = at(seeded, *words)
        assert (result.status, result.out) == (status, ""), (words, result)
        *note, last = result.err.splitlines()
        assert (last.startswith("ddb: "), why in last, len(note) < 2) == (True, True, True), (words, result)
    assert items_of(seeded) == before


@pytest.mark.parametrize(
    "words", [("verify", "--findings"), ("person", "export", "bayko", "--to"), ("rebuild", "--state")]
)
def test_a_file_that_cannot_be_written_is_refused_before_any_call(
    ddb: Ddb, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    result = ddb(*words, "/proc/nowhere/file")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("ddb: /proc/nowhere")
    assert result.err.endswith(f"name another file with {words[-1]}\n")


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x07", "\x7f", "\x85", "\x0b"])
def test_a_control_character_in_a_seed_file_is_refused_by_its_line(tmp_path: Path, character: str) -> None:
    file = tmp_path / "conversations.txt"
    file.write_text(f"Person 1: fine\nPerson 2: with {character} within\n")
    with pytest.raises(seed_file.SeedFileError, match="line 2: expected text without control characters, found U"):
        seed_file.load(file)
    file.write_text("Person 1: a\ttab\nPerson 2: is fine\n")
    assert len(seed_file.load(file)) == 1


def test_an_empty_list_says_so_and_what_to_do(at: At, ministack_table: CruddurTable) -> None:
    inbox = at(ministack_table, "list-conversations")
    assert (inbox.status, inbox.out) == (0, "")
    assert "andrewbrown has no conversation in " in inbox.err
    assert "bin/ddb seed" in inbox.err
    assert at(ministack_table, "list-conversations", "--json").json == {"conversations": [], "cursor": None}
    scanned = at(ministack_table, "scan")
    assert (scanned.status, scanned.out) == (0, "")
    assert "is empty" in scanned.err
    assert at(ministack_table, "scan", "--json").err == ""
