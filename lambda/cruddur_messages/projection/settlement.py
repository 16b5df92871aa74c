"""Access pattern E: every member's group row shows the newest message of the conversation.

Level-triggered: a stream record only says which conversation is dirty. To settle one, read its member rows, then
its newest message, and move the rows that differ. Every move is conditioned on what was read, so that whatever
happened in between - another invocation, a crash, an index that lags - makes it fail instead of making it wrong.
"""

import random
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.config import Config

from cruddur_messages.dynamodb import (
    MAX_ACTIONS,
    TRANSIENT_CODES,
    CancelledError,
    OutOfTimeError,
    RefusedError,
    TransientError,
)
from cruddur_messages.items import GroupRow, MalformedItemError, Message
from cruddur_messages.projection.members import View
from cruddur_messages.projection.moves import plan
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.table import ProjectionTable
from cruddur_messages.projection.transactions import MAX_ACTIONS_OF_OLD, Transaction, pack, pack_and_count

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SIDE_BY_SIDE = 8
"""How many conversations of a batch are settled at the same time."""

CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    tcp_keepalive=True,
    max_pool_connections=SIDE_BY_SIDE,
)
"""Sized for a stream handler: a call that hangs is over in seconds, and the projection itself tries again."""

LONGEST_CALL_SECONDS = 7.0
"""What one call usually takes at the most under CLIENT_CONFIG: two attempts and the pause between them.

An answer that drips in can take longer: the timeout is that of each piece.
"""

FAULTS_OF_DATA = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What data that nobody has thought of can cause; it must not take the other conversations of a batch with it."""

ATTEMPTS = 8
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 1.0


@dataclass
class Settlement:
    """How a conversation ended: `failure` says why it has to be tried again; `counts` is for the log."""

    message_group_uuid: str
    failure: str | None = None
    counts: Counter[str] = field(default_factory=Counter)


class Projection:
    """Settles conversations of one table.

    `seconds_left` is asked before each call; when it is down to `reserve_seconds`, none is begun any more. `sleep`
    and `draw` (uniform in 0..1) serve the backoff. `max_actions` bounds a transaction; an engine of old that takes
    fewer is noticed.
    """

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        table_name: str,
        seconds_left: Callable[[], float],
        reserve_seconds: float = LONGEST_CALL_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        max_actions: int = MAX_ACTIONS,
    ) -> None:
        self._seconds_left = seconds_left
        self._reserve_seconds = reserve_seconds
        self._table = ProjectionTable(client=client, table_name=table_name, has_time=lambda: self._has_time_for(0))
        self._sleep = sleep
        self._draw = draw
        self._max_actions = max_actions

    def settle_all(
        self, conversations: Sequence[DirtyConversation], *, side_by_side: int = SIDE_BY_SIDE
    ) -> list[Settlement]:
        """Settle independent conversations, several at the same time; the answers come in the order asked.

        They are taken in an order of chance, so that in a batch that comes again and again, hopeless ones do not
        take all the time before the others are reached.
        """
        workers = min(side_by_side, len(conversations))
        if workers < 2:
            return [self.settle(conversation) for conversation in conversations]
        shuffled = sorted(conversations, key=lambda _: self._draw())
        with ThreadPoolExecutor(max_workers=workers) as pool:
            settled = {answer.message_group_uuid: answer for answer in pool.map(self.settle, shuffled)}
        return [settled[conversation.message_group_uuid] for conversation in conversations]

    def settle(self, conversation: DirtyConversation) -> Settlement:
        """Make every member's row show the newest message; what prevents it stands in the answer."""
        settlement = Settlement(conversation.message_group_uuid, failure="not reached")
        view = View(conversation)
        try:
            for attempt in self._attempts():
                settlement.counts["attempts"] = attempt
                obstacles = self._try(view, settlement.counts)
                settlement.failure = "; ".join(sorted(obstacles)) or None
                if settlement.failure is None:
                    break
        except OutOfTimeError:
            settlement.failure = f"out of time: {settlement.failure}"
        except RefusedError as refused:
            settlement.failure = f"refused: {refused}"
        except FAULTS_OF_DATA as fault:
            *_, at = traceback.extract_tb(fault.__traceback__)
            settlement.failure = f"unexpected {type(fault).__name__} at {Path(at.filename).name}:{at.lineno}"
        return settlement

    def _has_time_for(self, pause: float) -> bool:
        """Whether a call may still be begun after a pause."""
        return self._seconds_left() - pause > self._reserve_seconds

    def _attempts(self) -> Iterator[int]:
        """Count the attempts, with a pause before each but the first. Raises OutOfTimeError where none fits in."""
        backoff = FIRST_BACKOFF_SECONDS
        yield 1
        for attempt in range(2, ATTEMPTS + 1):
            pause = backoff * (0.5 + self._draw() / 2)
            if not self._has_time_for(pause):
                raise OutOfTimeError
            self._sleep(pause)
            backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)
            yield attempt

    def _try(self, view: View, counts: Counter[str]) -> set[str]:
        """Read once and move what differs; the answer is what still stands in the way."""
        try:
            in_index = self._member_rows(view.message_group_uuid)
            newest = self._newest_message(view.message_group_uuid, counts)
        except TransientError as transient:
            return {str(transient)}
        rows = view.rows_given(in_index)
        obstacle = view.obstacle_given(rows, newest)
        moves = plan(rows, newest)
        if obstacle is None:
            transactions = pack_and_count(moves, newest, self._max_actions)
        else:
            transactions = pack([move for move in moves if move.is_counted], newest, self._max_actions)
        counts["previews_cut"] = sum(newest is not None and not move.shows(newest) for move in moves)
        obstacles = self._make(transactions, view, counts)
        if sum(len(move.rows) for move in moves) < len(rows):
            obstacles.add("a member has more rows than one transaction takes")
        return obstacles if obstacle is None else {*obstacles, obstacle}

    def _member_rows(self, message_group_uuid: str) -> list[GroupRow]:
        """The rows that the index shows; any other item that carries a conversation is none of ours."""
        rows: list[GroupRow] = []
        for attributes in self._table.member_rows(message_group_uuid):
            with suppress(MalformedItemError):
                rows.append(GroupRow.from_attributes(attributes))
        return rows

    def _newest_message(self, message_group_uuid: str, counts: Counter[str]) -> Message | None:
        """The newest message that can be shown; one that is malformed is passed over."""
        counts["malformed_messages"] = 0
        for attributes in self._table.newest_messages(message_group_uuid):
            try:
                return Message.from_attributes(attributes)
            except MalformedItemError:
                counts["malformed_messages"] += 1
        return None

    def _make(self, transactions: Iterable[Transaction], view: View, counts: Counter[str]) -> set[str]:
        """Make as many of the moves as DynamoDB allows; the answer is what stands in the way of the others.

        Raises RefusedError when all has been tried and a move can never be made.
        """
        obstacles: set[str] = set()
        refused: set[str] = set()
        # Another conversation may lower it meanwhile, for this one too.
        max_actions = self._max_actions
        pending = deque(transactions)
        while pending:
            transaction = pending.popleft()
            if transaction.counts_members and (obstacles or refused):
                pending.extendleft(self._without_counting(transaction))
                continue
            try:
                self._table.make(transaction)
                moved = [move for move in transaction.moves if move.is_needed]
                counts["rows_moved"] += len(moved)
                counts["rows_healed"] += sum(len(move.rows) - 1 for move in moved)
            except TransientError as transient:
                obstacles.add(str(transient))
            except RefusedError as error:
                if len(transaction.actions("")) > MAX_ACTIONS_OF_OLD < max_actions:
                    self._max_actions = MAX_ACTIONS_OF_OLD
                    return {*obstacles, "a transaction of this many actions is refused"}
                if transaction.counts_members:
                    refused.add(str(error))
                    pending.extend(self._without_counting(transaction))
                elif len(transaction.moves) == 1:
                    refused.add(str(error))
                else:
                    pending.extend(Transaction((move,), transaction.newest) for move in transaction.moves)
            except CancelledError as cancelled:
                counts["conflicts"] += 1
                verdict = transaction.judge(cancelled.reasons)
                view.contradict(verdict.contradicted)
                if verdict.outdated:
                    obstacles.add("a row is no longer as it was read")
                for _, code in verdict.hindered:
                    (obstacles if code in TRANSIENT_CODES else refused).add(code)
                if verdict.check is not None or verdict.unopposed == transaction.moves:
                    obstacles.add(verdict.check or "cancelled without a reason")
                    continue
                nudged = [move.nudged() for move in verdict.key_taken]
                counts["rows_nudged"] += len(nudged)
                if None in nudged:
                    obstacles.add("every place behind the message's time is taken")
                retried = (*verdict.unopposed, *(move for move in nudged if move is not None))
                pending.extendleft(pack(retried, transaction.newest, self._max_actions))
        if refused:
            raise RefusedError(", ".join(sorted(refused)))
        return obstacles

    def _without_counting(self, transaction: Transaction) -> Iterator[Transaction]:
        """What remains of a transaction when the members in it cannot be counted for now."""
        moves = [move.with_count_as_it_was() for move in transaction.moves if move.is_counted]
        return pack(moves, transaction.newest, self._max_actions)
