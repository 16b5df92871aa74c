"""A table that a broken writer has damaged, or that has one enormous conversation: the check ends, in little memory."""

import itertools
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cruddur_cli.maintenance.verify import check_export, read_table, verify_export
from cruddur_messages import schema
from cruddur_messages.audit import confirm
from cruddur_messages.audit.checks import Problem, check_table
from cruddur_messages.audit.export import Export
from cruddur_messages.audit.reader import ConversationReader
from cruddur_messages.items import AttributeMap, Message, User
from tests.access_patterns.people import START
from tests.audit.exports import no_s3, write_export
from tests.audit.test_folds import peak_of_memory

KIB = 1024
KIB_OF_A_CONVERSATION = 10
"""Of a check that keeps conversations with findings; docs/audit.md says what it needs without."""

SENDER = User(str(uuid.UUID(int=1)), "Ann", "ann")


def message(group: str, sort_key: str) -> AttributeMap:
    return Message(group, sort_key, START, str(uuid.uuid4()), "hi", SENDER).to_attributes()


class Recorded:
    """Responses for conversations of one message, whose sender has no row; it counts how often each is read."""

    def __init__(self) -> None:
        self.readings: Counter[str] = Counter()

    def query(self, *, ExpressionAttributeValues: Any, **_: Any) -> Any:  # noqa: N803
        group = ExpressionAttributeValues.get(":pk", {"S": ""})["S"].removeprefix(schema.MESSAGE_PREFIX)
        if group.startswith(schema.GROUP_ROW_PREFIX) or not group:
            return {"Items": []}
        self.readings[group] += 1
        return {"Items": [message(group, "2026-03-01T12:00:00+00:00")]}

    def get_item(self, **_: Any) -> Any:
        return {}

    def batch_get_item(self, **_: Any) -> Any:
        return {"Responses": {}}


@pytest.mark.parametrize("most", [20, pytest.param(confirm.MOST_READ_AGAIN, marks=pytest.mark.proof)])
def test_so_many_conversations_are_read_again_and_the_rest_stands_as_not_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(confirm, "MOST_READ_AGAIN", most)
    groups = [str(uuid.UUID(int=number)) for number in range(most + most // 4)]
    export = Export(
        write_export(tmp_path / "x", [[message(group, "2026-03-01T12:00:00+00:00") for group in groups]]), no_s3
    )
    client: Any = Recorded()
    reader = ConversationReader(client=client, table_name="cruddur-messages")
    with peak_of_memory() as peak:
        found = verify_export(export, reader, check=check_export, sleep=lambda _: None)
    again = {finding.message_group_uuid for finding in found.findings}
    assert len(again) == most == len(client.readings)
    assert set(client.readings.values()) == {confirm.READINGS}
    assert {finding.message_group_uuid for finding in found.unconfirmed} == {*groups} - again
    assert {finding.problem for finding in (*found.findings, *found.unconfirmed)} == {Problem.MISSING_ROW}
    assert peak() < (1024 + len(groups) * KIB_OF_A_CONVERSATION) * KIB


class Pages:
    """A table of one conversation, as a scan of one segment gives it."""

    def __init__(self, pages: int) -> None:
        group = str(uuid.UUID(int=1))
        self._page = [message(group, f"2026-03-01T12:00:00.{number:06}+00:00") for number in range(1000)]
        self._left = itertools.repeat(self._page, pages)

    def scan(self, **_: Any) -> Any:
        page = next(self._left, [])
        return {"Items": page, **({"LastEvaluatedKey": {"pk": {"S": "x"}}} if page else {})}


@pytest.mark.parametrize("thousands", [10, pytest.param(1000, marks=pytest.mark.proof)])
def test_the_memory_of_a_check_does_not_grow_with_the_messages_of_a_conversation(thousands: int) -> None:
    def peak(pages: int) -> int:
        client: Any = Pages(pages)
        with peak_of_memory() as peak:
            assert [*check_table(read_table(client, "cruddur-messages", segments=1))]
        return peak()

    assert peak(thousands) < peak(1) + 256 * KIB
