"""Settles the dirty conversations of a batch: side by side, with retries, backoff and jitter, within a time."""

import random
import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from cruddur_messages.dynamodb import MAX_ACTIONS, OutOfTimeError, RefusedError, TransientError
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import OutdatedError, Settlement
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


class Projection:
    """Settles conversations of one table; safe to share between threads.

    `seconds_left` says how long calls may still begin; it is asked before each. A conversation is given up after
    `attempts`. `sleep` and `draw` (uniform in 0..1) serve the backoff, `new_version` returns a value that was never a
    version before, and `each` runs the settlements of a batch.
    """

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        table_name: str,
        seconds_left: Callable[[], float],
        attempts: int = 8,
        max_actions: int = MAX_ACTIONS,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        new_version: Callable[[], str] = lambda: uuid.uuid4().hex,
        each: Each = side_by_side,
    ) -> None:
        self._table = ProjectionTable(client=client, table_name=table_name, has_time=lambda: self._has_time_for(0))
        self._seconds_left = seconds_left
        self._attempts = attempts
        self._max_actions = max_actions
        self._sleep = sleep
        self._draw = draw
        self._new_version = new_version
        self._each = each

    def settle_all(self, conversations: Sequence[DirtyConversation]) -> list[Settlement]:
        """Settle independent conversations; the settlements come in the order of the arguments.

        The order of settling is random, so that in a batch that Lambda retries, conversations that always fail do not
        take all the time.
        """
        shuffled = sorted(conversations, key=lambda _: self._draw())
        settled = {done.message_group_uuid: done for done in self._each(self.settle, shuffled)}
        return [settled[conversation.message_group_uuid] for conversation in conversations]

    def settle(self, conversation: DirtyConversation) -> Settlement:
        """Make every member's row show the newest message; a failure is in the settlement."""
        settlement = Settlement(
            conversation, table=self._table, new_version=self._new_version, max_actions=self._max_actions
        )
        try:
            for number in range(self._attempts):
                if number:
                    self._pause(number)
                settlement.counts["attempts"] += 1
                try:
                    settlement.attempt()
                    settlement.failure = None
                    break
                except OutdatedError as outdated:
                    settlement.counts["conflicts"] += 1
                    settlement.failure = str(outdated)
                except TransientError as transient:
                    settlement.failure = str(transient)
        except OutOfTimeError:
            settlement.failure = f"out of time: {settlement.failure}"
        except RefusedError as refused:
            settlement.failure = f"refused: {refused}"
        except Exception as fault:  # unforeseen data must not fail the other conversations
            *_, at = traceback.extract_tb(fault.__traceback__)
            settlement.failure = f"unexpected {type(fault).__name__} at {Path(at.filename).name}:{at.lineno}"
        return settlement

    def _has_time_for(self, pause: float) -> bool:
        return self._seconds_left() > pause

    def _pause(self, retry: int) -> None:
        """Wait before a retry. Raises OutOfTimeError if there is no time for that."""
        pause = min(FIRST_BACKOFF_SECONDS * 2 ** (retry - 1), LONGEST_BACKOFF_SECONDS) * (0.5 + self._draw() / 2)
        if not self._has_time_for(pause):
            raise OutOfTimeError
        self._sleep(pause)
