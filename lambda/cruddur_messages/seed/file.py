"""The seed files: a text file of conversations and a file of users, read into items.

Pure except `load`. Ids and times depend only on the position of a line, so every machine computes the same.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import accumulate, cycle, islice
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from cruddur_messages import timestamps
from cruddur_messages.items import MAX_MESSAGE_CHARACTERS, UUID, GroupRow, Message, User, first_rows

DATA: Final = Path(__file__).parent / "data"
CONVERSATIONS_PATH: Final = DATA / "conversations.txt"
USERS_PATH: Final = DATA / "users.json"

NAMESPACE: Final = uuid.UUID("6f0d3a92-58c7-4e1b-b2a4-9d7e13c5f086")
END: Final = datetime(2026, 1, 5, 18, tzinfo=UTC)
"""When the first conversation ends."""

SEPARATOR: Final = "---"
COMMENT: Final = "#"

_LINE = re.compile(r"Person ([0-9]{1,9}):(?:\s+(.*))?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_ENDING = re.compile(r"\r\n|\r|\n")
_LONGEST_QUOTE = 60
_Read = TypeVar("_Read")

# The microsecond keeps the times of two conversations apart: otherwise their group rows would share a key.
_BETWEEN_ENDS = timedelta(hours=1) + timestamps.MICROSECOND
_GAPS = tuple(timedelta(minutes=minutes) for minutes in (2, 8, 21, 3, 700, 5, 13, 34, 917, 6))


class SeedFileError(ValueError):
    """A file of the seed is wrong; the text says where, what is wrong and what is expected."""


@dataclass(frozen=True)
class LoadedConversation:
    """What is needed to remove a conversation again."""

    message_group_uuid: str
    member_uuids: tuple[str, ...]

    @classmethod
    def from_property(cls, value: Mapping[str, Any]) -> Self:
        """Read an entry of the resource property `Conversations`."""
        return cls(str(value["message_group_uuid"]), tuple(map(str, value["members"])))

    def to_property(self) -> dict[str, Any]:
        """The entry of the resource property `Conversations`."""
        return {"message_group_uuid": self.message_group_uuid, "members": list(self.member_uuids)}


@dataclass(frozen=True)
class SeedConversation:
    """A conversation to load: members in the order of the users file, messages oldest first, at least one."""

    message_group_uuid: str
    members: tuple[User, ...]
    messages: tuple[Message, ...]

    @property
    def loaded(self) -> LoadedConversation:
        """The conversation, once loaded."""
        return LoadedConversation(self.message_group_uuid, tuple(member.uuid for member in self.members))

    @property
    def group_rows(self) -> tuple[GroupRow, ...]:
        """One row per member as access pattern D writes it, showing the first message; the projection moves it."""
        return tuple(first_rows(self.messages[0], self.members))


_Line = tuple[int, str]
"""The number of a person, counted from 1, and a text."""


def load(conversations_path: Path = CONVERSATIONS_PATH, users_path: Path = USERS_PATH) -> tuple[SeedConversation, ...]:
    """Read both files. Raises SeedFileError, which names the file, if one is missing, unreadable or wrong."""
    return load_conversations(conversations_path, load_users(users_path))


def load_conversations(path: Path, users: Sequence[User]) -> tuple[SeedConversation, ...]:
    """Read the conversations file. Raises SeedFileError, which names the file, if it is missing or wrong."""
    return _in_file(path, lambda text: parse(text, users))


def load_users(path: Path = USERS_PATH) -> tuple[User, ...]:
    """Read the users file. Raises SeedFileError, which names the file, if it is missing, unreadable or wrong."""
    return _in_file(path, parse_users)


def parse_users(text: str) -> tuple[User, ...]:
    """Read the users file: a JSON list of objects with `uuid`, `display_name` and `handle`; at least two.

    Raises SeedFileError.
    """
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "line 1"
        raise SeedFileError(f"{where}: not JSON, expected a list of users") from error
    if not isinstance(entries, list) or len(entries) < 2:
        raise SeedFileError("expected a JSON list of at least two users")
    users = tuple(_user(number, entry) for number, entry in enumerate(entries, 1))
    for name in ("uuid", "handle"):
        values = [getattr(user, name) for user in users]
        for number, value in enumerate(values, 1):
            first = values.index(value) + 1
            if first < number:
                raise SeedFileError(f'user {number}: "{name}" is that of user {first}, expected one of its own')
    return users


def parse(text: str, users: Sequence[User]) -> tuple[SeedConversation, ...]:
    """Read the conversations file, in which `Person N` is the N-th of the users.

    Raises SeedFileError, which names the line, for the first line that is wrong.
    """
    conversations: list[SeedConversation] = []
    lines: list[_Line] = []
    raw_lines = _LINE_ENDING.split(text.rstrip("\r\n"))
    for number, raw in enumerate(raw_lines, 1):
        stripped = raw.strip()
        if stripped == SEPARATOR:
            conversations.append(_conversation(len(conversations), lines, users, end=number))
            lines = []
        elif stripped and not stripped.startswith(COMMENT):
            lines.append(_line(number, stripped, users))
    conversations.append(_conversation(len(conversations), lines, users, end=len(raw_lines)))
    return tuple(conversations)


def resource_properties(conversations: Sequence[SeedConversation]) -> dict[str, Any]:
    """The properties of the custom resource that depend on the files.

    `Conversations` is what must be removed some day. `Fingerprint`, a SHA-256 over all items, tells CloudFormation that
    a text has changed.
    """
    written = [
        [dict(row.attributes) for row in conversation.group_rows]
        + [message.to_attributes() for message in conversation.messages]
        for conversation in conversations
    ]
    return {
        "Fingerprint": hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest(),
        "Conversations": [conversation.loaded.to_property() for conversation in conversations],
    }


def message_uuid(message_group_uuid: str, sort_key: str, user_uuid: str) -> str:
    """The id of a message of the seed; a message with another id does not belong to the seed."""
    return str(uuid.uuid5(NAMESPACE, f"{message_group_uuid}/{sort_key}/{user_uuid}"))


def times(position: int, count: int) -> list[datetime]:
    """When the lines of a conversation were written, ascending; counted back from its end."""
    end = END - position * _BETWEEN_ENDS
    back = accumulate(islice(cycle(_GAPS), count - 1), initial=timedelta())
    return [end - distance for distance in back][::-1]


def _in_file(path: Path, read: Callable[[str], _Read]) -> _Read:
    try:
        return read(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SeedFileError(f"{path}: cannot be read ({error.strerror}), expected a file of the seed") from error
    except UnicodeDecodeError as error:
        raise SeedFileError(f"{path}: {_line_of(error)}: is not UTF-8, expected text in UTF-8") from error
    except SeedFileError as error:
        raise SeedFileError(f"{path}: {error}") from error


def _line_of(error: UnicodeDecodeError) -> str:
    before = error.object[: error.start].decode(errors="replace")
    return f"line {len(_LINE_ENDING.split(before))}"


def _user(number: int, entry: object) -> User:
    if not isinstance(entry, dict):
        raise SeedFileError(f"user {number}: expected an object with uuid, display_name and handle")
    names = [field.name for field in fields(User)]
    for name in names:
        value = entry.get(name)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise SeedFileError(f'user {number}: "{name}" is missing or empty, expected printable text')
    for name in sorted(entry.keys() - set(names)):
        raise SeedFileError(f"user {number}: {_quoted(name)} is not known, expected uuid, display_name and handle")
    user = User(**entry)
    if not UUID.fullmatch(user.uuid) or user.uuid != user.uuid.lower():
        raise SeedFileError(
            f"user {number}: {_quoted(user.uuid)} is not a uuid, expected 32 lower-case digits and hyphens"
        )
    return user


def _line(number: int, stripped: str, users: Sequence[User]) -> _Line:
    matched = _LINE.fullmatch(stripped)
    if matched is None:
        raise SeedFileError(f'line {number}: expected "Person N: text", found {_quoted(stripped)}')
    person, text = int(matched[1]), matched[2] or ""
    if not 1 <= person <= len(users):
        raise SeedFileError(f"line {number}: there is no user for Person {person}, expected Person 1 to {len(users)}")
    if not 1 <= len(text) <= MAX_MESSAGE_CHARACTERS:
        found = f"found {len(text)}" if text else "found none"
        raise SeedFileError(f"line {number}: expected 1 to {MAX_MESSAGE_CHARACTERS} characters of text, {found}")
    if control := _CONTROL.search(text):
        raise SeedFileError(f"line {number}: expected text without control characters, found U+{ord(control[0]):04X}")
    return person, text


def _conversation(position: int, lines: Sequence[_Line], users: Sequence[User], *, end: int) -> SeedConversation:
    speakers = sorted({person for person, _ in lines})
    if len(speakers) < 2:
        found = f"found Person {speakers[0]} alone" if speakers else "found no line of any"
        raise SeedFileError(f"line {end}: expected at least two persons in the conversation that ends here, {found}")
    members = tuple(users[person - 1] for person in speakers)
    identity = "/".join([str(position), *sorted(member.uuid for member in members)])
    message_group_uuid = str(uuid.uuid5(NAMESPACE, identity))
    return SeedConversation(
        message_group_uuid,
        members,
        tuple(
            _message(message_group_uuid, instant, users[person - 1], text)
            for (person, text), instant in zip(lines, times(position, len(lines)), strict=True)
        ),
    )


def _message(message_group_uuid: str, instant: datetime, user: User, text: str) -> Message:
    own_uuid = message_uuid(message_group_uuid, timestamps.canonical(instant), user.uuid)
    return Message.new(message_group_uuid, instant, own_uuid, text, user)


def _quoted(text: str) -> str:
    shown = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
    return json.dumps(shown, ensure_ascii=False)
