"""Pages have no gaps and no repeats: over New Year, with every form of timestamp, for any page size."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruddur_messages import schema, timestamps
from cruddur_messages.items import GROUP_MARK, GroupRow, Message, User
from cruddur_messages.store import MAX_PAGE, errors
from tests.access_patterns.people import all_messages, all_pages, person, store_of
from tests.engines.fixtures import CruddurTable, on_an_engine

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)

FORMS: tuple[Callable[[datetime], str], ...] = (
    timestamps.canonical,
    lambda instant: instant.isoformat(),
    lambda instant: instant.replace(tzinfo=None).isoformat(),
    lambda instant: instant.replace(tzinfo=None, microsecond=0).isoformat() + "Z",
    lambda instant: instant.astimezone(timezone(timedelta(hours=-5))).isoformat(),
    lambda instant: instant.astimezone(timezone(timedelta(hours=9, minutes=30))).isoformat(),
)

sort_keys = st.lists(
    st.builds(
        lambda seconds, microseconds, form: form(NEW_YEAR + timedelta(seconds=seconds, microseconds=microseconds)),
        st.integers(-7200, 7200),
        st.sampled_from((0, 1, 500_000, 999_999)),
        st.sampled_from(FORMS),
    ),
    unique=True,
    max_size=14,
)


def put_message(table: CruddurTable, group: str, sort_key: str, sender: User) -> None:
    instant = timestamps.parse(sort_key)
    assert instant is not None
    message = Message(group, sort_key, instant, str(uuid.uuid4()), sort_key, User(sender.uuid, "Ann", "ann"))
    table.client.put_item(TableName=table.name, Item=message.to_attributes())


def put_row(
    table: CruddurTable, member: User, sort_key: str, group: str, *, is_group: bool = False, **more: str
) -> None:
    row = GroupRow(
        {
            schema.PARTITION_KEY: {"S": schema.group_row_partition(member.uuid)},
            schema.SORT_KEY: {"S": sort_key},
            schema.INDEX_PARTITION_KEY: {"S": group},
            **{name: {"S": value} for name, value in more.items()},
            **(GROUP_MARK if is_group else {}),
        }
    )
    table.client.put_item(TableName=table.name, Item=row.attributes)


@on_an_engine
@given(keys=sort_keys, limit=st.integers(1, 16))
def test_the_pages_have_each_message_and_each_conversation_once(
    cruddur_table: CruddurTable, keys: list[str], limit: int
) -> None:
    group, ann = str(uuid.uuid4()), person("ann")
    for key in keys:
        put_message(cruddur_table, group, key, ann)
        put_row(cruddur_table, ann, key, str(uuid.uuid4()), message=key)
    store = store_of(cruddur_table)
    assert [message.sort_key for message in all_messages(store, group, limit)] == sorted(keys)
    inbox = all_pages(store.list_conversations, ann.uuid, limit)
    assert [line.last_message_at for page in inbox for line in page.items] == sorted(keys, reverse=True)
    assert store.get_conversation(group, limit=max(len(keys), 1)).cursor is None


@on_an_engine
@given(keys=sort_keys.filter(lambda keys: len(keys) > 2), limit=st.integers(1, 4), late=st.integers(1, 3))
def test_a_message_sent_while_paging_repeats_nothing(
    cruddur_table: CruddurTable, keys: list[str], limit: int, late: int
) -> None:
    group, ann = str(uuid.uuid4()), person("ann")
    for key in keys:
        put_message(cruddur_table, group, key, ann)
    store = store_of(cruddur_table)
    first = store.get_conversation(group, limit=limit)
    for seconds in range(late):
        put_message(cruddur_table, group, f"2030-01-01T00:00:0{seconds}.000000+00:00", ann)
    seen = list(first.items)
    cursor = first.cursor
    while cursor is not None:
        page = store.get_conversation(group, limit=limit, before=cursor)
        seen = [*page.items, *seen]
        cursor = page.cursor
    assert [message.sort_key for message in seen] == sorted(keys)


def test_malformed_items_do_not_shorten_a_page(cruddur_table: CruddurTable) -> None:
    group, ann = str(uuid.uuid4()), person("ann")
    for second in range(6):
        put_message(cruddur_table, group, f"2026-01-01T00:00:0{second}+00:00", ann)
    cruddur_table.client.put_item(
        TableName=cruddur_table.name,
        Item={"pk": {"S": schema.message_partition(group)}, "sk": {"S": "2026-01-01T00:00:04.5+00:00"}},
    )
    cruddur_table.client.put_item(
        TableName=cruddur_table.name,
        Item={"pk": {"S": schema.group_row_partition(ann.uuid)}, "sk": {"S": "2026-01-01T00:00:04.5+00:00"}},
    )
    put_row(cruddur_table, ann, "2026-01-01T00:00:01+00:00", group)
    store = store_of(cruddur_table)
    assert [message.sort_key[17:19] for message in store.get_conversation(group, limit=3).items] == ["03", "04", "05"]
    assert len(all_messages(store, group, 2)) == 6
    assert [line.message_group_uuid for line in store.list_conversations(ann.uuid, limit=1).items] == [group]


def test_invalid_arguments_are_refused(cruddur_table: CruddurTable) -> None:
    store, valid = store_of(cruddur_table), str(uuid.uuid4())
    reads: tuple[Any, ...] = (store.get_conversation, store.list_conversations)
    for read in reads:
        for limit in (0, -1, MAX_PAGE + 1, 1.5, "5", None):
            with pytest.raises(errors.InvalidLimitError, match=r"^limit is .*: ask for 1 to 1000$"):
                read(valid, limit=limit)
        for cursor in ("", "x" * 1025, "é" * 600, "\ud83d"):
            with pytest.raises(errors.InvalidCursorError, match="is not a cursor from a page"):
                read(valid, before=cursor)
        for value in ("", "ann", "GRP#1", f" {valid}", 5, None):
            with pytest.raises(errors.InvalidUuidError, match=r"(message_group|user)_uuid is not a UUID"):
                read(value)
