"""The seed files: a correct one gives the same conversations everywhere, a wrong one is refused with its line."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruddur_messages.items import MAX_MESSAGE_CHARACTERS, User
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.file import SeedFileError, parse, parse_users

pytestmark = pytest.mark.check

USERS = tuple(User(str(uuid.UUID(int=number)), f"Name {number}", f"handle{number}") for number in range(1, 5))

texts = (
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=MAX_MESSAGE_CHARACTERS)
    .map(str.strip)
    .filter(bool)
)
lines = st.tuples(st.integers(1, len(USERS)), texts | st.just("é" * MAX_MESSAGE_CHARACTERS))
conversations = st.lists(lines, min_size=2, max_size=12).filter(lambda spoken: len({who for who, _ in spoken}) > 1)
files = st.lists(conversations, min_size=1, max_size=5)
noise = st.lists(st.sampled_from(["", "   ", "# Person 9: not a line", "#"]), max_size=2)


def written(file: list[list[tuple[int, str]]], *, ending: str = "\n") -> str:
    separator = f"{ending}{seed_file.SEPARATOR}{ending}"
    return separator.join(ending.join(f"Person {who}: {text}" for who, text in spoken) for spoken in file) + ending


def refusal(text: str, users: tuple[User, ...] = USERS) -> str:
    with pytest.raises(SeedFileError) as error:
        parse(text, users)
    assert "\n" not in str(error.value)
    return str(error.value)


@given(files)
def test_a_file_becomes_its_conversations(file: list[list[tuple[int, str]]]) -> None:
    """Every line is the message of its speaker, in order; no id, and no key of a row, is that of another."""
    parsed = parse(written(file), USERS)
    assert [[(message.sender, message.message) for message in c.messages] for c in parsed] == [
        [(USERS[who - 1], text) for who, text in spoken] for spoken in file
    ]
    assert [c.members for c in parsed] == [
        tuple(user for number, user in enumerate(USERS, 1) if number in {who for who, _ in spoken}) for spoken in file
    ]
    messages = [message for c in parsed for message in c.messages]
    keys = [row.key for c in parsed for row in c.group_rows]
    for unique in (keys, [m.message_uuid for m in messages], [c.message_group_uuid for c in parsed]):
        assert len(set(unique)) == len(unique)
    for position, c in enumerate(parsed):
        assert {row.member_uuid for row in c.group_rows} == {member.uuid for member in c.members}
        sort_keys = [message.sort_key for message in c.messages]
        assert sort_keys == sorted(set(sort_keys))
        end = datetime(2026, 1, 5, 18, tzinfo=UTC) - timedelta(hours=position)
        assert timedelta() <= end - c.messages[-1].instant < timedelta(seconds=1)
        for message in c.messages:
            own = seed_file.message_uuid(c.message_group_uuid, message.sort_key, message.sender.uuid)
            assert (message.message_group_uuid, message.message_uuid) == (c.message_group_uuid, own)


@given(files, st.data())
def test_blank_lines_comments_and_line_endings_change_nothing(
    file: list[list[tuple[int, str]]], data: st.DataObject
) -> None:
    plain = written(file)
    noisy = [extra for line in plain.splitlines() for extra in (*data.draw(noise), line, *data.draw(noise))]
    other = data.draw(st.sampled_from(["\n", "\r\n", "\r"])).join(noisy)
    assert parse(other, USERS) == parse(plain, USERS)


@given(files, st.data())
def test_a_change_of_text_changes_the_fingerprint_and_no_id(
    file: list[list[tuple[int, str]]], data: st.DataObject
) -> None:
    conversation = data.draw(st.integers(0, len(file) - 1))
    line = data.draw(st.integers(0, len(file[conversation]) - 1))
    changed = [list(spoken) for spoken in file]
    who, text = changed[conversation][line]
    changed[conversation][line] = who, data.draw(texts.filter(lambda other: other != text))
    before, after = parse(written(file), USERS), parse(written(changed), USERS)
    assert seed_file.resource_properties(before)["Fingerprint"] != seed_file.resource_properties(after)["Fingerprint"]
    assert [c.loaded for c in before] == [c.loaded for c in after]
    assert [m.message_uuid for c in before for m in c.messages] == [m.message_uuid for c in after for m in c.messages]


@given(st.integers(1, 100_000), st.integers(0, 5_000))
def test_no_time_is_in_the_future_however_long_the_file(count: int, position: int) -> None:
    times = seed_file.times(position, count)
    assert len(times) == count
    assert all(earlier < later for earlier, later in pairwise(times))
    assert times[-1] <= datetime(2026, 1, 5, 18, tzinfo=UTC)


NO_LINES = (
    "Persn 1: hi",
    "person 1: hi",
    "Person one: hi",
    "Person 1 hi",
    "Person 1:hi",
    "Person -1: hi",
    "Person 99999999999: hi",
    "Person \N{ARABIC-INDIC DIGIT ONE}: hi",
    "----",
)
BAD_LINES = {
    **{line: f'expected "Person N: text", found "{line}"' for line in NO_LINES},
    "x" * 100: f'expected "Person N: text", found "{"x" * 60}..."',
    **{f"Person {n}: hi": f"there is no user for Person {n}, expected Person 1 to 4" for n in (0, 5)},
    **{f"Person 1:{blank}": "expected 1 to 1024 characters of text, found none" for blank in ("", "   ")},
    "Person 1: " + "x" * 1025: "expected 1 to 1024 characters of text, found 1025",
}


@given(files, st.data())
def test_a_bad_line_is_refused_with_its_number(file: list[list[tuple[int, str]]], data: st.DataObject) -> None:
    bad = data.draw(st.sampled_from(sorted(BAD_LINES)))
    good = written(file).splitlines()
    at = data.draw(st.integers(0, len(good) - 1).filter(lambda index: good[index] != seed_file.SEPARATOR))
    assert refusal("\n".join([*good[:at], bad, *good[at:]])) == f"line {at + 1}: {BAD_LINES[bad]}"


@pytest.mark.parametrize(
    ("text", "number", "found"),
    [
        ("", 1, "no line of any"),
        ("# nothing\n\n", 1, "no line of any"),
        ("Person 1: hi\n", 1, "Person 1 alone"),
        ("\n\nPerson 1: hi\n", 3, "Person 1 alone"),
        ("Person 3: hi\n\nPerson 3: hello?\n\n", 3, "Person 3 alone"),
        ("Person 1: hi\nPerson 2: hi\n---\n", 3, "no line of any"),
        ("---\nPerson 1: hi\nPerson 2: hi\n", 1, "no line of any"),
        ("Person 1: hi\n---\nPerson 2: hi\n", 2, "Person 1 alone"),
        ("Person 1: hi\nPerson 2: hi\n---\n---\nPerson 1: hi\nPerson 2: hi\n", 4, "no line of any"),
    ],
)
def test_a_conversation_needs_two_speakers(text: str, number: int, found: str) -> None:
    expected = f"line {number}: expected at least two persons in the conversation that ends here, found {found}"
    assert refusal(text) == expected


def user_entries(**changed: object) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = [
        {"uuid": user.uuid, "display_name": user.display_name, "handle": user.handle} for user in USERS[:2]
    ]
    entries[1] |= changed
    return [{name: value for name, value in entry.items() if value != "ABSENT"} for entry in entries]


EMPTY = "is missing or empty, expected printable text"
TAKEN = "is that of user 1, expected one of its own"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1: not JSON, expected a list of users"),
        ('[\n{"uuid": }\n]', "line 2: not JSON, expected a list of users"),
        ("[" * 100_000, "line 1: not JSON, expected a list of users"),
        ("{}", "expected a JSON list of at least two users"),
        (json.dumps(user_entries()[:1]), "expected a JSON list of at least two users"),
        (json.dumps([*user_entries(), 7]), "user 3: expected an object with uuid, display_name and handle"),
        (json.dumps(user_entries(handle="ABSENT")), f'user 2: "handle" {EMPTY}'),
        (json.dumps(user_entries(handle=7)), f'user 2: "handle" {EMPTY}'),
        (json.dumps(user_entries(display_name=" ")), f'user 2: "display_name" {EMPTY}'),
        (json.dumps(user_entries(handle="\ud800")), f'user 2: "handle" {EMPTY}'),
        (json.dumps(user_entries(email="x")), 'user 2: "email" is not known, expected uuid, display_name and handle'),
        (
            json.dumps(user_entries(uuid="X" * 36)),
            f'user 2: "{"X" * 36}" is not a uuid, expected 32 lower-case digits and hyphens',
        ),
        (json.dumps(user_entries(uuid=USERS[0].uuid)), f'user 2: "uuid" {TAKEN}'),
        (json.dumps(user_entries(handle="handle1")), f'user 2: "handle" {TAKEN}'),
    ],
)
def test_a_wrong_users_file_is_refused(text: str, why: str) -> None:
    with pytest.raises(SeedFileError) as error:
        parse_users(text)
    assert str(error.value) == why


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("conversations", None, "cannot be read (No such file or directory), expected a file of the seed"),
        ("conversations", b"Person 1: hi\r\nPerson 2: \xff\n", "line 2: is not UTF-8, expected text in UTF-8"),
        ("conversations", b"Persn 1: hi\n", 'line 1: expected "Person N: text", found "Persn 1: hi"'),
        ("users", b"[]", "expected a JSON list of at least two users"),
    ],
)
def test_an_error_names_the_file(tmp_path: Path, name: str, content: bytes | None, why: str) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SeedFileError) as error:
        seed_file.load(**{f"{name}_path": path})
    assert str(error.value) == f"{path}: {why}"


def test_files_from_windows_give_the_same_conversations(tmp_path: Path) -> None:
    path = tmp_path / "conversations.txt"
    path.write_bytes(b"\xef\xbb\xbf" + seed_file.CONVERSATIONS_PATH.read_bytes().replace(b"\n", b"\r\n"))
    assert seed_file.load(path) == seed_file.load()


def test_the_seed_of_the_project_is_the_bootcamps() -> None:
    loaded = seed_file.load()
    assert loaded[0].members[0].handle == "andrewbrown"
    assert loaded[0].members[1].handle == "bayko"
    assert len(loaded[0].messages) >= 100
    assert loaded[0].messages[0].sort_key.startswith("2025-")
    assert loaded[0].messages[-1].sort_key.startswith("2026-")
    assert len({message.message for c in loaded for message in c.messages}) >= 130
    assert {len(c.members) for c in loaded} == {2, 3}


def test_ids_are_those_that_deployed_stacks_have_loaded() -> None:
    """Ids must be the same in every version: the seed finds its own messages by them."""
    (conversation,) = parse("Person 1: hi\nPerson 2: hello", USERS)
    assert conversation.message_group_uuid == "ce17fa73-e2d2-528e-a291-1c4f02a70163"
    assert [message.message_uuid for message in conversation.messages] == [
        "3e6128a3-9c7f-571a-8fc0-2b1d3fdac672",
        "51f377fe-95c7-5c1c-9155-6b295b7568f2",
    ]


def test_the_properties_name_everything_that_must_be_removed() -> None:
    loaded = seed_file.load()
    entries = seed_file.resource_properties(loaded)["Conversations"]
    assert [seed_file.LoadedConversation.from_property(entry) for entry in entries] == [c.loaded for c in loaded]
