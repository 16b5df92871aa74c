"""Conversations and users are found by the names that people use."""

from cruddur_cli.conversation_names import beginnings
from cruddur_messages.seed import file as seed_file
from tests.cli.conftest import At
from tests.engines.fixtures import CruddurTable


def test_a_conversation_is_found_by_id_prefix_or_other_person(at: At, seeded: CruddurTable) -> None:
    andrew, bayko, *_ = seed_file.load_users()
    pair = next(c for c in seed_file.load() if {*c.members} == {andrew, bayko})
    group = pair.message_group_uuid
    ids = (group, group.upper(), f" {group} ", group[:8], group[:6].upper())
    of_bayko = (("andrewbrown", "--of", "bayko"), (group[:8], "--of", "@Bayko"))
    for words in (*((name,) for name in (*ids, "bayko", "@bayko", "Bayko", "@BAYKO")), *of_bayko):
        assert at(seeded, "get-conversation", *words, "--json").json["message_group_uuid"] == group, words
    for words in (("bayko",), (group[:8],), (group,)):
        assert at(seeded, "send", *words, "hello").status == 0
    assert at(seeded, "send", "--to", "Bayko", "hello").status == 0
    read = at(seeded, "get-conversation", "bayko", "--limit", "4", "--json").json
    assert [message["message"] for message in read["messages"]] == ["hello"] * 4


def test_a_group_is_not_the_conversation_of_two(at: At, seeded: CruddurTable) -> None:
    _, _, mina, tomas = seed_file.load_users()
    started = at(seeded, "start", "all", "--from", mina.handle, "--to", tomas.handle, "--to", "bayko", "--json")
    group = started.json["message_group_uuid"]
    result = at(seeded, "send", "--to", tomas.handle, "secret", "--from", mina.handle)
    assert result.status == 1
    assert f"in a group with others: {group[:8]}" in result.err
    assert "secret" not in at(seeded, "get-conversation", group).out


def test_an_ambiguous_prefix_is_refused_with_longer_ones(at: At, seeded: CruddurTable) -> None:
    ambiguous = [one.message_group_uuid for one in seed_file.load() if one.message_group_uuid.startswith("2")]
    result = at(seeded, "get-conversation", "2")
    assert (len(ambiguous), result.status) == (2, 1)
    assert all(group[:8] in result.err for group in ambiguous)


def test_prefixes_are_as_short_as_is_unique() -> None:
    assert beginnings(["12345678-a", "12345678-b", "0"]) == {
        "12345678-a": "12345678-a",
        "12345678-b": "12345678-b",
        "0": "0",
    }
    assert beginnings(["123456789", "223456789"]) == {"123456789": "12345678", "223456789": "22345678"}


def test_adding_a_member_twice_says_that_nothing_has_changed(at: At, seeded: CruddurTable) -> None:
    refused = at(seeded, "add-member", "bayko", "mina")
    assert (refused.status, "is of two people and stays theirs: start a new one of three" in refused.err) == (1, True)
    names = ("--from", "bayko", "--to", "andrewbrown", "--to", "tomas")
    group = at(seeded, "start", "all", *names, "--json").json["message_group_uuid"]
    first = at(seeded, "add-member", group, "mina")
    assert "mina is a member of " in first.out
    assert "adding" in first.err
    again = at(seeded, "add-member", group, "Mina")
    assert (again.status, again.err) == (0, "")
    assert "nothing has changed" in again.out
    assert at(seeded, "add-member", group, "mina", "--json").json["is_new"] is False
