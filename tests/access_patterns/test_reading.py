"""Unread messages: the count is what a model says for any history, and a mark only moves forward."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cruddur_messages import schema, timestamps
from cruddur_messages.items import Message, User, key_attributes
from cruddur_messages.store import MAX_PAGE, MOST_UNREAD, Conversation, errors
from tests.access_patterns.people import ANN, BO, EVE, BetweenCalls, store_of
from tests.access_patterns.test_paging import FORMS, put_row
from tests.engines.fixtures import CruddurTable, on_an_engine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def write(table: CruddurTable, group: str, sender: User, instant: datetime, form: Callable[[datetime], str]) -> str:
    message = Message(group, form(instant), instant, str(uuid.uuid4()), "hi", sender)
    table.client.put_item(TableName=table.name, Item=message.to_attributes())
    return message.sort_key


def inbox(table: CruddurTable, group: str, newest: str) -> list[Conversation]:
    put_row(table, ANN, newest, group, message="hi", user_uuid=BO.uuid)
    lines = store_of(table).list_conversations(ANN.uuid, limit=MAX_PAGE).items
    return [line for line in lines if line.message_group_uuid == group]


@on_an_engine
@given(
    minutes=st.sets(st.integers(0, 600), min_size=1, max_size=12).map(sorted),
    by_bo=st.integers(0, 2**12),
    form=st.sampled_from(FORMS),
    marks=st.lists(st.integers(0, 11), max_size=3),
    since=st.none() | st.integers(-1, 601),
    deleted=st.sets(st.integers(0, 11), max_size=3),
)
@example(minutes=[0, 1], by_bo=3, form=FORMS[0], marks=[], since=0, deleted=set())
@example(minutes=[0, 1], by_bo=3, form=FORMS[4], marks=[0], since=None, deleted=set())
@example(minutes=[0, 1], by_bo=3, form=FORMS[5], marks=[0], since=None, deleted=set())
def test_unread_is_what_others_wrote_after_the_last_mark(
    cruddur_table: CruddurTable,
    minutes: list[int],
    by_bo: int,
    form: Callable[[datetime], str],
    marks: list[int],
    since: int | None,
    deleted: set[int],
) -> None:
    group = str(uuid.uuid4())
    instants = [NOON + timedelta(minutes=minute) for minute in minutes]
    senders = [BO if by_bo >> number & 1 else ANN for number in range(len(instants))]
    keys = [write(cruddur_table, group, sender, at, form) for sender, at in zip(senders, instants, strict=True)]
    lines = inbox(cruddur_table, group, keys[-1])
    marks = [mark % len(keys) for mark in marks]
    for mark in marks:  # a late one does not move it back
        store_of(cruddur_table).mark_read(group, ANN.uuid, up_to=keys[mark])
    oldest = None if since is None else NOON + timedelta(minutes=since)
    store = store_of(cruddur_table, unread_since=oldest)
    seen = max([instants[mark] for mark in marks] + ([oldest] if oldest else []), default=NOON - timedelta(days=1))
    partition = schema.message_partition(group)
    for number in deleted & set(range(len(keys))):
        key = key_attributes((partition, keys[number]))
        cruddur_table.client.delete_item(TableName=cruddur_table.name, Key=key)
    left = set(range(len(keys))) - deleted
    expected = sum(instants[number] > seen and senders[number] is BO for number in left)
    assert store.unread(ANN.uuid, lines) == {group: expected}


def test_unread_gives_up_where_keys_stay_unprocessed(cruddur_table: CruddurTable) -> None:
    class Throttled(BetweenCalls):
        def batch_get_item(self, **asked: Any) -> Any:
            return {"Responses": {}, "UnprocessedKeys": asked["RequestItems"]}

    store, group = store_of(cruddur_table, client=Throttled(cruddur_table.client)), str(uuid.uuid4())
    with pytest.raises(errors.ContendedError):
        store.unread(ANN.uuid, inbox(cruddur_table, group, timestamps.canonical(NOON)))


def test_a_mark_is_the_newest_message_that_is_not_newer(cruddur_table: CruddurTable) -> None:
    group, store = str(uuid.uuid4()), store_of(cruddur_table)
    keys = [write(cruddur_table, group, BO, NOON + timedelta(minutes=at), timestamps.canonical) for at in range(3)]
    lines = inbox(cruddur_table, group, keys[-1])

    def mark() -> str:
        key = key_attributes((schema.member_partition(ANN.uuid), group))
        item = cruddur_table.client.get_item(TableName=cruddur_table.name, Key=key).get("Item", {})
        return item.get(schema.READ_UP_TO, {}).get("S", "")

    for up_to, expected, unread in (
        ("2020-01-01", "", 3),
        ("2026-03-01T14:00:59+02:00", keys[0], 2),  # as a text later than every key
        (keys[1], keys[1], 1),
        (keys[0], keys[1], 1),
        ("9999-12-31T23:59:59", keys[2], 0),  # what comes later is unread
    ):
        store.mark_read(group, ANN.uuid, up_to=up_to)
        assert (mark(), store.unread(ANN.uuid, lines)) == (expected, {group: unread})
    for wrong in ("", "yesterday", "2026-01-01T00:00:00." + "0" * 1024, None, 3):
        with pytest.raises(errors.InvalidTimestampError, match="is not an ISO 8601 timestamp: take the time of a mess"):
            store.mark_read(group, ANN.uuid, up_to=wrong)  # type: ignore[arg-type]
    with pytest.raises(errors.NotAMemberError):
        store.mark_read(group, EVE.uuid, up_to=keys[0])
    newest = write(cruddur_table, group, BO, NOON + timedelta(hours=1), timestamps.canonical)
    assert store.unread(ANN.uuid, inbox(cruddur_table, group, newest)) == {group: 1}


@pytest.mark.parametrize("after", [0, 30])
def test_a_mark_is_the_newest_message_also_of_mixed_forms(cruddur_table: CruddurTable, after: int) -> None:
    """As a text, the older message is the later one."""
    group, store = str(uuid.uuid4()), store_of(cruddur_table)
    write(cruddur_table, group, BO, NOON, timestamps.canonical)
    write(cruddur_table, group, BO, NOON - timedelta(hours=1), FORMS[5])
    lines = inbox(cruddur_table, group, "2026-03-02")
    store.mark_read(group, ANN.uuid, up_to=timestamps.canonical(NOON + timedelta(seconds=after)))
    assert store.unread(ANN.uuid, lines) == {group: 0}


def test_a_page_of_an_inbox_that_is_read_is_one_call_and_at_most_100_count(cruddur_table: CruddurTable) -> None:
    store, keys = store_of(cruddur_table), {}
    for number in range(20):
        group = str(uuid.uuid4())
        at = NOON + timedelta(seconds=number)
        keys[group] = write(cruddur_table, group, BO, at, timestamps.canonical)
        put_row(cruddur_table, ANN, keys[group], group, message="hi", user_uuid=BO.uuid)
    lines = store.list_conversations(ANN.uuid).items
    assert store.unread(ANN.uuid, lines) == dict.fromkeys(keys, 1)
    for group, key in keys.items():
        store.mark_read(group, ANN.uuid, up_to=key)
    client = BetweenCalls(cruddur_table.client)
    assert store_of(cruddur_table, client=client).unread(ANN.uuid, lines) == dict.fromkeys(keys, 0)
    assert client.names == ["batch_get_item"]
    assert [one["ConsistentRead"] for one in client.arguments[0]["RequestItems"].values()] == [False]  # half the cost
    assert store.unread(ANN.uuid, []) == {}
    for second in range(MOST_UNREAD + 1):
        newest = write(cruddur_table, group, BO, NOON + timedelta(hours=1, seconds=second), timestamps.canonical)
    assert store.unread(ANN.uuid, inbox(cruddur_table, group, newest)) == {group: MOST_UNREAD}
    for after, queries in ((0, 1), (1, 3)):  # the time of the first of them, and one between two
        up_to = timestamps.canonical(NOON + timedelta(hours=1, milliseconds=after))
        client = BetweenCalls(cruddur_table.client)
        store_of(cruddur_table, client=client).mark_read(group, ANN.uuid, up_to=up_to)
        # The first two show that who asks is a member.
        assert client.names == ["get_item", "query", *["query"] * queries, "update_item"]
