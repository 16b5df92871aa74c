"""Settles the dirty conversations of a batch: side by side, with retries, backoff and jitter, within a time."""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cruddur_messages.dynamodb import MAX_ACTIONS, backoff
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Settlement, attempt
from cruddur_messages.projection.table import ProjectionTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SIDE_BY_SIDE = 8
"""How many conversations of a batch are settled at the same time."""

FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 1.0

Settle = Callable[[DirtyConversation], Settlement]
Each = Callable[[Settle, Sequence[DirtyConversation]], Iterable[Settlement]]


def side_by_side(settle: Settle, conversations: Sequence[DirtyConversation]) -> Iterable[Settlement]:
    """Settle conversations on threads, SIDE_BY_SIDE at a time; the settlements come in the order of the arguments."""
    if len(conversations) < 2:
        return [settle(conversation) for conversation in conversations]
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(conversations))) as pool:
        return list(pool.map(settle, conversations))


@dataclass(frozen=True, kw_only=True)
class Settler:
    """Settles conversations of one table; safe to share between threads.

    `seconds_left` says how long calls may still begin; it is asked before each. A conversation is given up after
    `attempts`. `sleep` and `draw` (uniform in 0..1) serve the backoff, `new_version` returns a value that was never a
    version before, and `each` runs the settlements of a batch.
    """

    client: "DynamoDBClient"
    table_name: str
    seconds_left: Callable[[], float]
    attempts: int = 8
    max_actions: int = MAX_ACTIONS
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random
    new_version: Callable[[], str] = lambda: uuid.uuid4().hex
    each: Each = side_by_side

    def settle_all(self, conversations: Sequence[DirtyConversation]) -> list[Settlement]:
        """Settle independent conversations; the settlements come in the order of the arguments.

        The order of settling is random, so that in a batch that Lambda retries, conversations that always fail do not
        take all the time.
        """
        shuffled = sorted(conversations, key=lambda _: self.draw())
        settled = {done.message_group_uuid: done for done in self.each(self.settle, shuffled)}
        return [settled[conversation.message_group_uuid] for conversation in conversations]

    def settle(self, conversation: DirtyConversation) -> Settlement:
        """Make every member's row show the newest message; a failure is in the settlement."""
        table = ProjectionTable(
            self.client, self.table_name, lambda: self.seconds_left() > 0, self.max_actions, self.new_version
        )
        settlement = Settlement(conversation.message_group_uuid)
        for number in range(self.attempts):
            if number:
                pause = backoff(number, first=FIRST_BACKOFF_SECONDS, longest=LONGEST_BACKOFF_SECONDS, draw=self.draw())
                if self.seconds_left() <= pause:
                    return replace(settlement, failure=f"out of time: {settlement.failure}")
                self.sleep(pause)
            settlement = attempt(conversation, settlement, table)
            if not settlement.may_retry:
                break
        return settlement
