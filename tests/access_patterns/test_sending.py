"""A sent message is stored once, and overwrites no other message."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cruddur_messages import timestamps
from cruddur_messages.items import MAX_MESSAGE_CHARACTERS
from cruddur_messages.store import errors
from tests.access_patterns.people import START, BetweenCalls, all_messages, items_of, person, store_of
from tests.engines.fixtures import CruddurTable


def throttled() -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "PutItem")


def test_messages_of_the_same_microsecond_are_all_kept(cruddur_table: CruddurTable) -> None:
    store = store_of(cruddur_table, clock=lambda: START)
    group, ann = str(uuid.uuid4()), person("ann")
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda number: store.send(group, sender=ann, message=f"{number}"), range(12)))
    kept = all_messages(store, group, 10)
    assert sorted(kept, key=lambda message: message.sort_key) == sorted(sent, key=lambda message: message.sort_key)
    assert {message.message for message in kept} == {str(number) for number in range(12)}
    assert [message.sort_key for message in kept] == [
        timestamps.canonical(START + number * timestamps.MICROSECOND) for number in range(12)
    ]


@pytest.mark.parametrize("failing", [1, 3])
def test_a_lost_response_does_not_send_twice(cruddur_table: CruddurTable, failing: int) -> None:
    def lose(number: int, _name: str) -> None:
        if number < failing:
            raise throttled()

    client = BetweenCalls(cruddur_table.client, after=lose)
    group = str(uuid.uuid4())
    store_of(cruddur_table, client=client).send(group, sender=person("ann"), message="once")
    assert [message.message for message in all_messages(store_of(cruddur_table), group, 5)] == ["once"]


def test_a_denied_call_is_not_retried(cruddur_table: CruddurTable) -> None:
    def refuse(_number: int, _name: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutItem")

    client = BetweenCalls(cruddur_table.client, before=refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        store_of(cruddur_table, client=client).send(str(uuid.uuid4()), sender=person("ann"), message="x")
    assert client.calls == 1


def test_endless_throttling_raises_a_contended_error_after_a_pause_before_each_retry(
    cruddur_table: CruddurTable,
) -> None:
    happened: list[float | str] = []

    def throttle(_number: int, name: str) -> None:
        happened.append(name)
        raise throttled()

    client: Any = BetweenCalls(cruddur_table.client, before=throttle)
    store = replace(store_of(cruddur_table), client=client, sleep=happened.append, draw=lambda: 1.0)
    with pytest.raises(errors.ContendedError, match=r"try again$"):
        store.send(str(uuid.uuid4()), sender=person("ann"), message="x")
    assert happened[::2] == ["put_item"] * 10
    assert happened[1::2] == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("message", ["x", "x" * MAX_MESSAGE_CHARACTERS, "é🙂" * (MAX_MESSAGE_CHARACTERS // 2), " x "])
def test_a_message_is_read_as_it_was_sent(cruddur_table: CruddurTable, message: str) -> None:
    group, ann = str(uuid.uuid4()), person("ann")
    store = store_of(cruddur_table)
    sent = store.send(group, sender=ann, message=message)
    assert store.get_conversation(group).items == (sent,)
    assert (sent.message, sent.sender) == (message, ann)


@pytest.mark.parametrize(
    ("message", "error", "code"),
    [
        ("", errors.MessageBlankError, "message_blank"),
        (" \n", errors.MessageBlankError, "message_blank"),
        (None, errors.MessageBlankError, "message_blank"),
        ("x" * (MAX_MESSAGE_CHARACTERS + 1), errors.MessageTooLongError, "message_exceed_max_chars"),
        ("half an \ud83d", errors.MessageNotUtf8Error, "message_not_utf8"),
    ],
    ids=["empty", "blank", "none", "too long", "no UTF-8"],
)
def test_an_invalid_message_is_refused(
    cruddur_table: CruddurTable, message: str, error: type[errors.RejectedError], code: str
) -> None:
    ann, bo = person("ann"), person("bo")
    store = store_of(cruddur_table)
    with pytest.raises(error) as rejected:
        store.send(str(uuid.uuid4()), sender=ann, message=message)
    assert rejected.value.code == code
    with pytest.raises(error):
        store.start_conversation([ann, bo], sender=ann, message=message)
    assert items_of(cruddur_table) == []


def test_only_a_member_sends_and_reads_if_membership_is_checked(cruddur_table: CruddurTable) -> None:
    ann, bo, eve = person("ann"), person("bo"), person("eve")
    store = store_of(cruddur_table)
    group = store.start_conversation([ann, bo], sender=ann, message="hi").message_group_uuid
    assert store.send(group, sender=bo, message="hello", check_member=True).message == "hello"
    assert len(store.get_conversation(group, reader_uuid=bo.uuid).items) == 2
    with pytest.raises(errors.NotAMemberError, match=f"^user {eve.uuid} is not a member of conversation {group}$"):
        store.send(group, sender=eve, message="let me in", check_member=True)
    with pytest.raises(errors.NotAMemberError):
        store.get_conversation(group, reader_uuid=eve.uuid)
    with pytest.raises(errors.NotAMemberError):
        store.add_member(group, eve, asked_by=eve.uuid)
    assert len(all_messages(store, group, 10)) == 2
    assert len(store.get_conversation(group).items) == 2
    assert store.send(group, sender=eve, message="the caller did not ask").sender == eve


def test_a_member_whom_the_index_does_not_show_yet_counts(cruddur_table: CruddurTable) -> None:
    class LaggingIndex(BetweenCalls):
        def query(self, **arguments: Any) -> Any:
            return {"Items": []} if "IndexName" in arguments else cruddur_table.client.query(**arguments)

    ann, bo = person("ann"), person("bo")
    store = store_of(cruddur_table, client=LaggingIndex(cruddur_table.client))
    group = store.start_conversation([ann, bo], sender=ann, message="hi").message_group_uuid
    assert store.send(group, sender=bo, message="hello", check_member=True).message == "hello"
    with pytest.raises(errors.NotAMemberError):
        store.require_member(group, person("eve").uuid)
