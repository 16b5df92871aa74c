"""Users for tests, and a store on a test's table."""

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cruddur_messages import schema
from cruddur_messages.conversation_item import VERSION
from cruddur_messages.dynamodb import partition_query, query_items
from cruddur_messages.items import AttributeMap, GroupRow, Key, Message, User, key_of
from cruddur_messages.store import MessageStore, Page
from tests.engines.fixtures import CruddurTable

_Item = TypeVar("_Item")

MOST_PAGES = 100

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def person(name: str) -> User:
    return User(str(uuid.uuid4()), name.title(), name)


ANN, BO, CY, DAN, EVE = map(person, ("ann", "bo", "cy", "dan", "eve"))


def ticking(start: datetime = START) -> Callable[[], datetime]:
    """A clock that advances by a second with every call."""
    seconds = itertools.count()
    return lambda: start + timedelta(seconds=next(seconds))


def store_of(
    table: CruddurTable,
    *,
    client: Any = None,
    clock: Callable[[], datetime] | None = None,
    unread_since: datetime | None = None,
) -> MessageStore:
    """A store on the table that does not wait between attempts."""
    return MessageStore(
        client=client or table.client,
        table_name=table.name,
        clock=clock or ticking(),
        sleep=lambda _: None,
        unread_since=unread_since,
    )


def items_in(client: Any, table_name: str = schema.TABLE_NAME) -> list[AttributeMap]:
    """Every item of a table, by a consistent read."""
    pages = client.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def items_of(table: CruddurTable, partitions: str = "") -> list[AttributeMap]:
    """The items of the partitions that begin so."""
    return [item for item in items_in(table.client, table.name) if item["pk"]["S"].startswith(partitions)]


def by_key(items: Iterable[AttributeMap]) -> dict[Key, AttributeMap]:
    return {key_of(item): item for item in items}


def without_versions(items: list[AttributeMap]) -> list[AttributeMap]:
    """The items without the versions: a settlement writes the next version even if nothing else differs."""
    return [{name: value for name, value in item.items() if name != VERSION} for item in items]


def rows_of(table: CruddurTable, user: User) -> list[GroupRow]:
    inbox = partition_query(schema.group_row_partition(user.uuid))
    return [GroupRow.from_attributes(item) for item in query_items(table.client.query, TableName=table.name, **inbox)]


def all_pages(read: Callable[..., Page[_Item]], of: str, limit: int) -> Iterator[Page[_Item]]:
    """Every page of a conversation or of an inbox, newest first."""
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = read(of, limit=limit, before=cursor)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
    raise AssertionError("the pages do not end")


def all_messages(store: MessageStore, message_group_uuid: str, limit: int) -> list[Message]:
    """Every message of a conversation, page by page, oldest first."""
    pages = list(all_pages(store.get_conversation, message_group_uuid, limit))
    return [message for page in reversed(pages) for message in page.items]


class BetweenCalls:
    """A client that runs a hook before and after each call, so that a call can fail before or after it takes effect.

    `before` gets the number and the name of the next call; the call raises what `before` raises. `after` does the same
    after the call. `names` and `arguments` are those of the calls so far.
    """

    def __init__(
        self,
        client: Any,
        *,
        before: Callable[[int, str], None] = lambda _number, _name: None,
        after: Callable[[int, str], None] = lambda _number, _name: None,
    ) -> None:
        self._client = client
        self._before = before
        self._after = after
        self.names: list[str] = []
        self.arguments: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)
        if not callable(operation) or name == "exceptions":
            return operation

        def call(**arguments: Any) -> Any:
            number = len(self.names)
            self.names.append(name)
            self.arguments.append(arguments)
            self._before(number, name)
            answer = operation(**arguments)
            self._after(number, name)
            return answer

        return call
