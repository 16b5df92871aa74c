"""What looks wrong is read again: only so much of it, and only what is still wrong is confirmed."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from cruddur_messages.audit.checks import Finding, Problem
from cruddur_messages.audit.confirm import MOST_READ_AGAIN, READINGS, confirm, place_of, split
from cruddur_messages.audit.snapshot import ConversationSnapshot
from cruddur_messages.conversation_item import ConversationItem
from tests.audit.damaged import GROUPS, TIMES, USERS

pytestmark = pytest.mark.check


def test_of_many_findings_some_are_read_again_and_none_is_lost() -> None:
    groups = [f"{number:08x}-1111-4000-8000-000000000000" for number in range(MOST_READ_AGAIN + 5)]
    findings = [Finding(Problem.MISSING_ROW, group, user, "") for group in groups for user in USERS[:2]]
    again, others = split(findings)
    assert Counter(again + others) == Counter(findings)
    assert len({place_of(finding) for finding in again}) == MOST_READ_AGAIN
    assert len(others) == 10

    readings: Counter[str] = Counter()

    class Reader:
        """A table in which half of the conversations are repaired after their first reading."""

        def again(self, group: str, members: set[str], *, all_messages: bool) -> ConversationSnapshot:
            assert not all_messages
            readings[group] += 1
            is_repaired = group < groups[MOST_READ_AGAIN // 2] and readings[group] > 1
            return ConversationSnapshot(newest=(TIMES[0], "m", "hi"), known=set() if is_repaired else members)

        def forget_inboxes(self) -> None:
            """Nothing is remembered."""

    reader: Any = Reader()
    left = confirm(reader, again, sleep=lambda _: None)
    assert {finding.message_group_uuid for finding in left} == set(groups[MOST_READ_AGAIN // 2 : MOST_READ_AGAIN])
    assert set(readings.values()) == {2, READINGS}


@pytest.mark.parametrize(("versions", "is_found"), [(count(), False), (iter([1] * READINGS), True)])
def test_an_item_that_is_written_between_the_readings_is_no_finding(versions: Iterator[int], is_found: bool) -> None:
    class Reader:
        """A conversation of which each reading sees a message that is not settled yet."""

        def again(self, *_: Any, **__: Any) -> ConversationSnapshot:
            item = ConversationItem({"N": str(next(versions))}, {}, None)
            return ConversationSnapshot(newest=(TIMES[0], "m", "hi"), item=item)

        def forget_inboxes(self) -> None:
            """Nothing is remembered."""

    reader: Any = Reader()
    finding = Finding(Problem.WRONG_CONVERSATION_ITEM, GROUPS[0], "", "")
    assert confirm(reader, [finding], sleep=lambda _: None) == [finding] * is_found
