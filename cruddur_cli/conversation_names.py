"""Names of conversations for people: the UUID, the start of the UUID, or the other person."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cruddur_cli.errors import DdbError
from cruddur_cli.people import People
from cruddur_messages.dynamodb import rows_in_index
from cruddur_messages.items import UUID, User
from cruddur_messages.store import MAX_PAGE, Conversation, MessageStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHORTEST = 8
"""The fewest characters of a UUID that are shown when there is no room for all."""

MOST_NAMED = 5

_BEGINNING = re.compile(r"[0-9a-f][0-9a-f-]{0,35}")


class ConversationNames:
    """Finds conversations in the inboxes of one table."""

    def __init__(self, *, client: "DynamoDBClient", table_name: str, store: MessageStore, people: People) -> None:
        self._client = client
        self._table_name = table_name
        self._store = store
        self._people = people

    def resolve(self, name: str, reader: User) -> str:
        """The message_group_uuid of a name in a person's inbox; a whole UUID is returned unchanged.

        Raises DdbError if there is none, or more than one.
        """
        wanted = name.strip().lower()
        if UUID.fullmatch(wanted):
            return wanted
        other = self._people.by_handle(wanted.removeprefix("@")) if wanted.removeprefix("@") else None
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
        naming = (line.message_group_uuid for line in self._inbox(reader) if line.other.uuid == other.uuid)
        named = list(dict.fromkeys(naming))
        for message_group_uuid in named:
            if self._members(message_group_uuid) <= {reader.uuid, other.uuid}:
                return message_group_uuid
        groups = f"; in a group with others: {_listed(named)}" if named else ""
        raise DdbError(
            f"{reader.handle} and {other.handle} have no conversation of their own{groups}: "
            f"bin/ddb start MESSAGE --from {reader.handle} --to {other.handle} starts one"
        )

    def _inbox(self, reader: User) -> Iterator[Conversation]:
        cursor: str | None = None
        while True:
            page = self._store.list_conversations(reader.uuid, limit=MAX_PAGE, before=cursor)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def _members(self, message_group_uuid: str) -> set[str]:
        return {row.member_uuid for row in rows_in_index(self._client.query, self._table_name, message_group_uuid)}


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
