"""A sent message is stored once, and overwrites no other message."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cruddur_messages import timestamps
from cruddur_messages.items import MAX_MESSAGE_CHARACTERS
from cruddur_messages.store import errors, message_store
from tests.access_patterns.people import ANN, BO, START, BetweenCalls, all_messages, items_of, person, store_of
from tests.engines.fixtures import CruddurTable


def throttled() -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "PutItem")


def test_messages_of_the_same_microsecond_are_all_kept(
    cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(cruddur_table, clock=lambda: START)
    group = str(uuid.uuid4())
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda number: store.send(group, sender=ANN, message=f"{number}"), range(12)))
    kept = all_messages(store, group, 10)
    assert sorted(kept, key=lambda message: message.sort_key) == sorted(sent, key=lambda message: message.sort_key)
    assert {message.message for message in kept} == {str(number) for number in range(12)}
    assert [message.sort_key for message in kept] == [
        timestamps.canonical(START + number * timestamps.MICROSECOND) for number in range(12)
    ]
    monkeypatch.setattr(message_store, "MAX_TAKEN_KEYS", 12)
    with pytest.raises(errors.ContendedError):
        store.send(group, sender=ANN, message="the thirteenth")


def test_a_lost_response_does_not_send_twice(cruddur_table: CruddurTable) -> None:
    def lose(number: int, _name: str) -> None:
        if number < 3:
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
    assert client.names == ["put_item"]


def test_endless_throttling_raises_a_contended_error_after_a_pause_before_each_retry(
    cruddur_table: CruddurTable,
) -> None:
    happened: list[float | str] = []

    def throttle(_number: int, name: str) -> None:
        happened.append(name)
        raise throttled()

    client: Any = BetweenCalls(cruddur_table.client, before=throttle)
    store = replace(store_of(cruddur_table), client=client, sleep=happened.append, draw=lambda: 1.0)
    with pytest.raises(errors.ContendedError, match=r"10 attempts; one may have written: look before you try again$"):
        store.send(str(uuid.uuid4()), sender=person("ann"), message="x")
    assert happened[::2] == ["put_item"] * 10
    assert happened[1::2] == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("message", ["x", "x" * MAX_MESSAGE_CHARACTERS, "é🙂" * (MAX_MESSAGE_CHARACTERS // 2), " x "])
def test_a_message_is_read_as_it_was_sent(cruddur_table: CruddurTable, message: str) -> None:
    group = str(uuid.uuid4())
    store = store_of(cruddur_table)
    sent = store.send(group, sender=ANN, message=message)
    assert store.get_conversation(group).items == (sent,)
    assert (sent.message, sent.sender) == (message, ANN)


def test_an_invalid_message_is_refused(cruddur_table: CruddurTable) -> None:
    store = store_of(cruddur_table)
    wrong: tuple[tuple[Any, type[errors.RejectedError], str], ...] = (
        ("", errors.MessageBlankError, "message_blank"),
        (" \n", errors.MessageBlankError, "message_blank"),
        (None, errors.MessageBlankError, "message_blank"),
        ("x" * (MAX_MESSAGE_CHARACTERS + 1), errors.MessageTooLongError, "message_exceed_max_chars"),
        ("half an \ud83d", errors.MessageNotUtf8Error, "message_not_utf8"),
    )
    for message, error, code in wrong:
        with pytest.raises(error) as rejected:
            store.send(str(uuid.uuid4()), sender=ANN, message=message)
        assert rejected.value.code == code
        with pytest.raises(error):
            store.start_conversation([ANN, BO], sender=ANN, message=message)
    assert items_of(cruddur_table) == []
