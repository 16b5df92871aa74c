"""What looks wrong is read again, and only what is still wrong is confirmed."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from cruddur_messages.audit.checks import Finding, Problem
from cruddur_messages.audit.confirm import READINGS, confirm
from cruddur_messages.audit.snapshot import ConversationSnapshot
from cruddur_messages.conversation_item import ConversationItem
from tests.audit.damaged import GROUPS, TIMES, USERS

pytestmark = pytest.mark.check


def test_what_is_repaired_between_the_readings_is_no_finding() -> None:
    findings = [Finding(Problem.MISSING_ROW, group, user, "") for group in GROUPS for user in USERS[:2]]
    readings: Counter[str] = Counter()

    def again(group: str, members: set[str], *, all_messages: bool) -> ConversationSnapshot:
        assert not all_messages
        readings[group] += 1
        is_repaired = group in GROUPS[:2] and readings[group] > 1
        return ConversationSnapshot(newest=(TIMES[0], "m", "hi"), known=set() if is_repaired else members)

    reader: Any = SimpleNamespace(again=again, forget_inboxes=lambda: None)
    assert confirm(reader, findings, sleep=lambda _: None) == sorted(findings[4:])
    assert readings == {group: 2 if group in GROUPS[:2] else READINGS for group in GROUPS}


@pytest.mark.parametrize(("versions", "is_found"), [(count(), False), (iter([1] * READINGS), True)])
def test_an_item_that_is_written_between_the_readings_is_no_finding(versions: Iterator[int], is_found: bool) -> None:
    def again(*_: Any, **__: Any) -> ConversationSnapshot:
        """Each reading sees a message that is not settled yet."""
        item = ConversationItem({"N": str(next(versions))}, {}, None)
        return ConversationSnapshot(newest=(TIMES[0], "m", "hi"), item=item)

    reader: Any = SimpleNamespace(again=again, forget_inboxes=lambda: None)
    finding = Finding(Problem.WRONG_CONVERSATION_ITEM, GROUPS[0], "", "")
    assert confirm(reader, [finding], sleep=lambda _: None) == [finding] * is_found
