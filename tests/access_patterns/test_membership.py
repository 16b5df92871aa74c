"""Who is in a conversation and who is out, what authors do with their messages, and what each call costs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cruddur_cli.capacity import CapacityMeter
from cruddur_cli.maintenance.checkpoint import Checkpoint
from cruddur_cli.maintenance.rebuild import Rebuild
from cruddur_messages import schema
from cruddur_messages.audit.checks import Problem
from cruddur_messages.items import GROUP_MARK, User, key_attributes, key_of
from cruddur_messages.projection.filters import patterns
from cruddur_messages.store import errors
from tests.access_patterns.groups import EVERYBODY, WITHOUT_BO, Action, Group, findings_of
from tests.access_patterns.people import EVE, BetweenCalls, items_of, rows_of
from tests.access_patterns.test_paging import put_row
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.projection.event_source_mapping import passes


class Answering(BetweenCalls):
    """A client whose queries find nothing where `hidden` says so of their arguments."""

    def __init__(self, client: Any, hidden: Callable[[Any], bool]) -> None:
        super().__init__(client)
        self._hidden = hidden

    def __getattr__(self, name: str) -> Any:
        real = super().__getattr__(name)
        if name != "query":
            return real
        return lambda **asked: {"Items": []} if self._hidden(asked) else real(**asked)


def test_a_delete_that_botocore_has_retried_is_a_success(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table)
    group.delete()
    with pytest.raises(errors.NoSuchMessageError, match=r"^there is no message .*: read the conversation again$"):
        group.delete()

    def retried(_number: int, name: str) -> None:
        if name == "delete_item":
            response: Any = {
                "Error": {"Code": "ConditionalCheckFailedException"},
                "ResponseMetadata": {"RetryAttempts": 1},
            }
            raise ClientError(response, "DeleteItem")

    group.delete(BetweenCalls(cruddur_table.client, before=retried))


def test_a_message_of_another_id_or_author_is_never_touched(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table)
    store, before = group.store(), items_of(cruddur_table)
    sort_key, message_uuid, cy = group.newest.sort_key, group.newest.message_uuid, group.cy.uuid
    for place, uuid, author, error in (
        (sort_key, group.uuid, cy, errors.NoSuchMessageError),
        ("2020-01-01T00:00:00", message_uuid, cy, errors.NoSuchMessageError),
        ("", message_uuid, cy, errors.NoSuchMessageError),
        ("x" * 1025, message_uuid, cy, errors.NoSuchMessageError),
        (sort_key, message_uuid, group.ann.uuid, errors.NotTheAuthorError),
        (sort_key, message_uuid, "cy", errors.InvalidUuidError),
    ):
        with pytest.raises(error):
            store.delete(group.uuid, place, message_uuid=uuid, by=author)
        with pytest.raises(error):
            store.edit(group.uuid, place, message_uuid=uuid, editor=author, message="edited")
    with pytest.raises(errors.NotAMemberError):
        store.edit(group.uuid, sort_key, message_uuid=message_uuid, editor=group.dan.uuid, message="edited")
    for text, refusal in (("", errors.MessageBlankError), ("x" * 1025, errors.MessageTooLongError)):
        with pytest.raises(refusal):
            store.edit(group.uuid, sort_key, message_uuid=message_uuid, editor=cy, message=text)
    assert items_of(cruddur_table) == before


def test_an_edit_and_a_deletion_are_shown_in_every_inbox(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table)
    newest = group.store().send(group.uuid, sender=group.cy, message="newset")
    edited = group.store().edit(
        group.uuid, newest.sort_key, message_uuid=newest.message_uuid, editor=group.cy.uuid, message="newest"
    )
    assert edited.edited_at > edited.sort_key == newest.sort_key
    assert group.store().get_conversation(group.uuid, limit=1).items == (edited,)
    group.settle()
    assert rows_of(cruddur_table, group.bo)[0].attributes["message"] == {"S": "newest"}
    group.store().leave(group.uuid, group.cy.uuid)  # an author who has left still deletes
    group.store().delete(group.uuid, newest.sort_key, message_uuid=newest.message_uuid, by=group.cy.uuid)
    assert group.members() == {"ann", "bo"}
    assert rows_of(cruddur_table, group.bo)[0].attributes["message"] == {"S": "hello again"}


class StaleReads(BetweenCalls):
    """A client whose reads of items find none yet, unless they are consistent."""

    def get_item(self, **asked: Any) -> Any:
        return self._client.get_item(**asked) if asked.get("ConsistentRead") else {}


def test_whoever_left_is_out_although_the_index_still_shows_their_row(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table)
    (row,) = rows_of(cruddur_table, group.bo)
    group.leave()
    put_row(cruddur_table, group.bo, row.sort_key, group.uuid, is_group=True, message="hello")
    store = group.store(StaleReads(cruddur_table.client))
    for refused in (
        lambda: store.require_member(group.uuid, group.bo.uuid),
        lambda: store.get_conversation(group.uuid, reader_uuid=group.bo.uuid),
        lambda: store.send(group.uuid, sender=group.bo, message="x", check_member=True),
        lambda: store.edit(group.uuid, "x", message_uuid="x", editor=group.bo.uuid, message="x"),
        lambda: store.add_member(group.uuid, group.dan, asked_by=group.bo.uuid),
        lambda: store.mark_read(group.uuid, group.bo.uuid, up_to=row.sort_key),
    ):
        with pytest.raises(errors.NotAMemberError, match=f"{group.bo.uuid} is not a member"):
            refused()
    assert store.unread(group.bo.uuid, store.list_conversations(group.bo.uuid).items) == {group.uuid: 0}
    assert Problem.ROW_AFTER_LEAVING in findings_of(cruddur_table)


@pytest.mark.parametrize(("settles", "end"), [(Group.leave, WITHOUT_BO), (Group.add_again, EVERYBODY)])
def test_a_row_beside_left_at_is_settled_by_either(cruddur_table: CruddurTable, settles: Action, end: set[str]) -> None:
    group = Group(cruddur_table)
    (row,) = rows_of(cruddur_table, group.bo)
    group.leave()
    cruddur_table.client.put_item(TableName=cruddur_table.name, Item=row.attributes)  # by an old handler
    settles(group, None)
    assert group.members() == end


def test_a_newcomers_row_names_somebody_who_is_still_there(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table)
    at, bo = group.newest.sort_key, group.bo.uuid
    put_row(cruddur_table, group.dan, at, group.uuid, is_group=True, message="hello", user_uuid=bo)
    group.leave()  # bo, whom two of three rows name
    assert group.store().add_member(group.uuid, EVE).other.uuid == group.ann.uuid
    group.store().leave(group.uuid, group.ann.uuid)
    assert group.store().add_member(group.uuid, group.bo).other == group.cy  # the rows name ann, bo and ann


def test_the_row_of_the_first_member_who_comes_back_names_somebody_else(cruddur_table: CruddurTable) -> None:
    """All rows name the first member: so it is another sender, and if they left, a member whose name is unknown."""
    group = Group(cruddur_table)
    store, ann = group.store(), group.ann
    store.leave(group.uuid, ann.uuid)
    assert store.add_member(group.uuid, ann, asked_by=group.bo.uuid).other == group.cy
    store.send(group.uuid, sender=ann, message="the only one left")
    store.leave(group.uuid, ann.uuid)
    store.leave(group.uuid, group.cy.uuid)
    assert store.add_member(group.uuid, ann, asked_by=group.bo.uuid).other == User(group.bo.uuid, "unknown", "unknown")


def test_leaving_alone_and_twice_and_with_two_rows(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table)
    put_row(cruddur_table, group.ann, "2024-01-01T00:00:00", group.uuid, is_group=True, message="x")
    with pytest.raises(errors.NotAMemberError):
        group.store().leave(group.uuid, group.dan.uuid)
    for user in (group.bo, group.bo, group.ann, group.cy):
        group.store().leave(group.uuid, user.uuid)
    assert group.members() == set()


def test_a_move_between_two_readings_of_the_inbox_is_no_leave(cruddur_table: CruddurTable) -> None:
    """The query falls between the delete and the put of a move: the row is seen by the next one."""
    group, hidden = Group(cruddur_table), iter([True])
    (row,) = rows_of(cruddur_table, group.bo)

    def is_hidden(asked: Any) -> bool:
        return asked["ExpressionAttributeValues"].get(":pk") == {"S": row.partition} and next(hidden, False)

    group.leave(Answering(cruddur_table.client, is_hidden))
    assert group.members() == WITHOUT_BO


def test_a_member_whom_the_index_does_not_show_yet_counts(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table)
    store = group.store(Answering(cruddur_table.client, lambda asked: "IndexName" in asked))
    assert store.send(group.uuid, sender=group.bo, message="hello", check_member=True).message == "hello"
    with pytest.raises(errors.NotAMemberError):
        store.require_member(group.uuid, group.dan.uuid)
    store.add_member(group.uuid, group.dan, asked_by=group.bo.uuid)
    store.require_member(group.uuid, group.dan.uuid)


def before_the(call: str, happens: Callable[[], object]) -> Callable[[int, str], None]:
    """A hook for the moment before the first call of a name."""
    once = iter([happens])

    def hook(_number: int, name: str) -> None:
        if name == call and (first := next(once, None)):
            first()

    return hook


def test_a_leave_deletes_no_row_of_another_conversation_that_has_come_to_the_key(cruddur_table: CruddurTable) -> None:
    group, other = Group(cruddur_table), Group(cruddur_table)
    (row,) = rows_of(cruddur_table, group.bo)

    def take_the_key() -> None:
        group.move()
        put_row(cruddur_table, group.bo, row.sort_key, other.uuid, message="hello again")

    group.leave(BetweenCalls(cruddur_table.client, before=before_the("transact_write_items", take_the_key)))
    assert [row.message_group_uuid for row in rows_of(cruddur_table, group.bo)] == [other.uuid]


def test_who_has_left_gets_no_mark(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table)
    group.read(BetweenCalls(cruddur_table.client, before=before_the("update_item", group.leave)))
    assert schema.LEFT_AT in group.item_of(group.bo)
    assert schema.READ_UP_TO not in group.item_of(group.bo)


def test_two_peoples_conversation_stays_theirs_until_one_has_left_the_app(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table, size=2)
    for asked_by in (None, group.ann.uuid):
        with pytest.raises(errors.PairConversationError):
            group.store().add_member(group.uuid, group.cy, asked_by=asked_by)
    for user in (group.ann, group.bo):
        with pytest.raises(errors.PairConversationError, match="is of two people and stays theirs: start a new one"):
            group.store().leave(group.uuid, user.uuid)
    assert group.members() == {"ann", "bo"}
    (row,) = rows_of(cruddur_table, group.bo)
    cruddur_table.client.delete_item(TableName=cruddur_table.name, Key=key_attributes(row.key))
    erased = key_attributes((schema.member_partition(group.bo.uuid), group.uuid))
    cruddur_table.client.put_item(TableName=cruddur_table.name, Item={**erased, schema.LEFT_AT: {"S": "2026"}})
    group.store().leave(group.uuid, group.ann.uuid)
    assert group.members() == set()


@pytest.mark.parametrize("hidden", ["the index", "the mark of a row", "both"])
def test_a_group_of_which_two_are_left_is_not_the_conversation_of_the_two_nor_of_who_left(
    cruddur_table: CruddurTable, hidden: str
) -> None:
    group = Group(cruddur_table)
    assert all(row.is_group for user in group.people[:3] for row in rows_of(cruddur_table, user))
    group.leave()
    sender, other = (group.bo, group.ann) if hidden == "both" else (group.ann, group.cy)
    client = Answering(cruddur_table.client, lambda asked: "IndexName" in asked and hidden != "the mark of a row")
    if hidden != "the index":  # as while a settlement that marks the rows is not visible everywhere
        (row,) = rows_of(cruddur_table, other)  # which names the sender
        unmarked = {name: value for name, value in row.attributes.items() if name not in GROUP_MARK}
        cruddur_table.client.put_item(TableName=cruddur_table.name, Item=unmarked)
    started = group.store(client).start_conversation([sender, other], sender=sender, message="we two")
    assert started.is_new


def test_the_projection_marks_a_group_and_everybody_who_joins_it(cruddur_table: CruddurTable) -> None:
    group = Group(cruddur_table, size=2)
    put_row(cruddur_table, group.cy, group.newest.sort_key, group.uuid, message="hello")  # by an older backend
    with pytest.raises(errors.PairConversationError):
        group.leave()
    group.move()
    assert all(line.is_group for line in group.store().list_conversations(group.ann.uuid).items)
    group.leave()
    assert group.members() == WITHOUT_BO
    group.add()
    assert {row.is_group for user in group.people for row in rows_of(cruddur_table, user)} == {True}


def test_a_rebuild_marks_an_idle_group_of_an_older_backend(cruddur_table: CruddurTable, tmp_path: Path) -> None:
    group = Group(cruddur_table, size=2)
    put_row(cruddur_table, group.cy, group.newest.sort_key, group.uuid, message="hello again")
    assert Problem.UNMARKED_GROUP in findings_of(cruddur_table)
    client, nobody = cruddur_table.client, lambda _: None
    rebuilding = Rebuild(client=client, table_name=cruddur_table.name, named=nobody, sleep=nobody)
    rebuilding.run(Checkpoint(tmp_path / "left.jsonl", dict))
    assert findings_of(cruddur_table) == []
    group.leave()
    assert group.members() == WITHOUT_BO


@pytest.mark.parametrize(
    ("action", "calls", "units", "invocations"),
    [
        (Group.leave, "get_item query transact_write_items", 5, 0),
        # The put row must be settled: a message may have arrived meanwhile, and the next one must know where it is.
        (Group.add_again, "get_item query get_item query query query query transact_write_items", 5, 1),
        (Group.read, "get_item query query update_item", 1, 0),
        (Group.edit, "get_item query update_item", 1, 1),
        (Group.delete, "delete_item", 1, 1),
    ],
)
def test_what_each_costs(
    cruddur_table_on: Callable[[str], CruddurTable],
    ministack_endpoint: str,
    action: Action,
    calls: str,
    units: int,
    invocations: int,
) -> None:
    """Calls, write units as the emulator counts them (docs/cost.md), and records that the stream's filter lets through.

    DynamoDB Local counts four units for each item and each entry of the index in a transaction, so 12 for a leave.
    """
    group, meter = Group(cruddur_table_on(ministack_endpoint)), CapacityMeter()
    if action is Group.add_again:
        group.leave()
    before, client = {key_of(item): item for item in items_of(group.table)}, tables.dynamodb(ministack_endpoint)
    meter.attach(client)
    counting = BetweenCalls(client)
    action(group, counting)
    after = {key_of(item): item for item in items_of(group.table)}
    records = [
        {"dynamodb": {"Keys": key_attributes(key), **({"NewImage": after[key]} if key in after else {})}}
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    ]
    passed = sum(passes(patterns(), record) for record in records)
    assert (" ".join(counting.names), meter.write_units, passed) == (calls, units, invocations)
