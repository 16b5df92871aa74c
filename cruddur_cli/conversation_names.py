"""Names of conversations for people: the UUID, the start of the UUID, or the other person."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cruddur_cli.errors import DdbError
from cruddur_cli.users import Users
from cruddur_messages.dynamodb import rows_in_index
from cruddur_messages.items import UUID, GroupRow, User
from cruddur_messages.store import MAX_PAGE, Conversation, MessageStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHORTEST = 8
"""The fewest characters of a UUID that are shown when there is no room for all."""

MOST_NAMED = 5
QUERIES_AT_ONCE = 8

_BEGINNING = re.compile(r"[0-9a-f][0-9a-f-]{0,35}")


class ConversationNames:
    """Finds conversations in the inboxes of one table."""

    def __init__(self, *, client: "DynamoDBClient", table_name: str, store: MessageStore, users: Users) -> None:
        self._client = client
        self._table_name = table_name
        self._store = store
        self._users = users

    def resolve(self, name: str, reader: User) -> str:
        """The message_group_uuid of a name in a person's inbox; a whole UUID is returned unchanged.

        Raises DdbError if there is none, or more than one.
        """
        wanted = name.strip().lower()
        if UUID.fullmatch(wanted):
            return wanted
        other = self._users.by_handle(wanted.removeprefix("@")) if wanted.removeprefix("@") else None
        if other is not None:
            return self.between(reader, other)
        inbox = f"see bin/ddb list-conversations {reader.handle}"
        if not _BEGINNING.fullmatch(wanted):
            raise DdbError(f"{name!r} is neither a conversation nor a person: {inbox}")
        in_inbox = dict.fromkeys(line.message_group_uuid for line in self._inbox(reader))
        found = [group for group in in_inbox if group.startswith(wanted)]
        if not found:
            raise DdbError(f"no conversation of {reader.handle} starts with {name!r}: {inbox}")
        if len(found) > 1:
            raise DdbError(f"{len(found)} conversations of {reader.handle} start with {name!r}: {_listed(found)}")
        return found[0]

    def between(self, reader: User, other: User) -> str:
        """The newest conversation of two people alone. Raises DdbError if there is none."""
        if other.uuid == reader.uuid:
            raise DdbError(f"{reader.handle} has no conversation with themselves: name another person")
        named = {line.message_group_uuid: line for line in self._inbox(reader) if line.other.uuid == other.uuid}
        for message_group_uuid, line in named.items():
            if not line.is_group and {row.member_uuid for row in self._rows(message_group_uuid)} <= {
                reader.uuid,
                other.uuid,
            }:
                return message_group_uuid
        groups = f"; in a group with others: {_listed([*named])}" if named else ""
        raise DdbError(
            f"{reader.handle} and {other.handle} have no conversation of their own{groups}: "
            f"bin/ddb start MESSAGE --from {reader.handle} --to {other.handle} starts one"
        )

    def member(self, user_uuid: str) -> User | None:
        """The user of an id, with the name in others' rows, or else the id as name; None if there is no inbox."""
        inbox = self._store.list_conversations(user_uuid, limit=1).items
        if not inbox:
            return None
        users = (User.from_attributes(row.attributes) for row in self._rows(inbox[0].message_group_uuid))
        named = next((user for user in users if user.uuid == user_uuid and user.handle), None)
        handle = named.handle if named else user_uuid
        return User(user_uuid, (named and named.display_name) or handle, handle)

    def others(self, reader_uuid: str, message_group_uuids: Sequence[str]) -> list[list[str]]:
        """The handles of everybody else in each of some conversations, as far as the index shows them."""
        with ThreadPoolExecutor(QUERIES_AT_ONCE) as pool:
            return [self._handles(rows, reader_uuid) for rows in pool.map(self._rows, message_group_uuids)]

    def _handles(self, rows: Sequence[GroupRow], reader_uuid: str) -> list[str]:
        handles = {user.uuid: user.handle for user in (User.from_attributes(row.attributes) for row in rows)}
        uuids = sorted({row.member_uuid for row in rows} - {reader_uuid, ""})
        for user_uuid in uuids:
            if not handles.get(user_uuid):
                user = self._users.by_uuid(user_uuid)
                handles[user_uuid] = (user and user.handle) or user_uuid
        return sorted(handles[user_uuid] for user_uuid in uuids)

    def _inbox(self, reader: User) -> Iterator[Conversation]:
        cursor: str | None = None
        while True:
            page = self._store.list_conversations(reader.uuid, limit=MAX_PAGE, before=cursor)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def _rows(self, message_group_uuid: str) -> list[GroupRow]:
        return list(rows_in_index(self._client.query, self._table_name, message_group_uuid))


def beginnings(uuids: list[str]) -> dict[str, str]:
    """The shortest unique prefix of each UUID, of at least SHORTEST characters."""
    shown: dict[str, str] = {}
    for uuid in uuids:
        length = SHORTEST
        while any(other != uuid and other.startswith(uuid[:length]) for other in uuids):
            length += 1
        shown[uuid] = uuid[:length]
    return shown


def _listed(uuids: list[str]) -> str:
    shown = [*beginnings(uuids).values()]
    more = f" and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else ""
    return ", ".join(shown[:MOST_NAMED]) + more
