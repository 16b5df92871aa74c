"""Access pattern E: every member's group row shows the newest message of the conversation.

A stream record only says which conversation is dirty. To settle it, read the version of its conversation item, then
its newest message and its rows, and commit what differs together with the next version, on the condition that the
version is still the one that was read. docs/decisions/0004 proves that this is exact.
"""

import random
import time
import traceback
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cruddur_messages import schema
from cruddur_messages.conversation_item import ConversationItem, fingerprint, update
from cruddur_messages.dynamodb import MAX_ACTIONS, CancelledError, OutOfTimeError, RefusedError, TransientError
from cruddur_messages.items import MESSAGE, GroupRow, Key, MalformedItemError, Message, key_of
from cruddur_messages.projection.moves import Departure, Move, plan
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.table import ProjectionTable, rows_of
from cruddur_messages.projection.transactions import Action, Step, judge, pack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SIDE_BY_SIDE = 8
"""How many conversations of a batch are settled at the same time."""

FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 1.0


@dataclass(frozen=True)
class Limits:
    """How far a settlement goes.

    `reserve_seconds` are kept of the time left: no call begins later. A conversation is given up after `attempts`.
    """

    reserve_seconds: float = 0.0
    attempts: int = 8
    max_actions: int = MAX_ACTIONS


@dataclass
class Settlement:
    """How a conversation ended: `failure` says why it has to be tried again; `left` are members without a row."""

    message_group_uuid: str
    failure: str | None = None
    left: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)


class OutdatedError(Exception):
    """Something was written since it was read; the text says what."""


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

    `seconds_left` is asked before each call. `sleep` and `draw` (uniform in 0..1) serve the backoff, `new_version`
    returns a value that was never a version before, and `each` runs the settlements of a batch.
    """

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        table_name: str,
        seconds_left: Callable[[], float],
        limits: Limits = Limits(),
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        new_version: Callable[[], str] = lambda: uuid.uuid4().hex,
        each: Each = side_by_side,
    ) -> None:
        self._table = ProjectionTable(client=client, table_name=table_name, has_time=lambda: self._has_time_for(0))
        self._seconds_left = seconds_left
        self._limits = limits
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
        settlement = Settlement(conversation.message_group_uuid, failure="not reached")
        attempts = Attempts(self._table, conversation, settlement, self._limits.max_actions, self._new_version)
        try:
            for number in self._numbers():
                settlement.counts["attempts"] = number
                try:
                    attempts.try_once()
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
        return self._seconds_left() - pause > self._limits.reserve_seconds

    def _numbers(self) -> Iterator[int]:
        """Count the attempts, with a pause before each but the first. Raises OutOfTimeError if no pause fits."""
        backoff = FIRST_BACKOFF_SECONDS
        yield 1
        for number in range(2, self._limits.attempts + 1):
            pause = backoff * (0.5 + self._draw() / 2)
            if not self._has_time_for(pause):
                raise OutOfTimeError
            self._sleep(pause)
            backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)
            yield number


class Attempts:
    """The attempts to settle one conversation, and what each learns for the next."""

    def __init__(
        self,
        table: ProjectionTable,
        conversation: DirtyConversation,
        settlement: Settlement,
        max_actions: int,
        new_version: Callable[[], str],
    ) -> None:
        self._table = table
        self._group = conversation.message_group_uuid
        self._put_keys = conversation.put_keys
        self._must_read_rows = conversation.must_read_rows or bool(conversation.put_keys)
        self._settlement = settlement
        self._max_actions = max_actions
        self._new_version = new_version
        self._refused: dict[str, str] = {}
        self._missing: set[Key] = set()

    def try_once(self) -> None:
        """Read once and commit what differs.

        Raises OutdatedError and TransientError if reading again may help, and RefusedError.
        """
        # The version is read first: if somebody commits after this read, this settlement's commit fails.
        item = self._table.conversation(self._group)
        newest = self._newest_message()
        if item.shown == fingerprint(newest) and not self._must_read_rows:
            # The next version makes every commit fail that has read an older message.
            self._write((), update(self._group, read=item, version=self._new_version()))
            return
        self._settle_rows(item, newest, self._rows(item))

    def _settle_rows(self, item: ConversationItem, newest: Message | None, rows: Sequence[GroupRow]) -> None:
        """Commit the moves that the rows need, and the new places of the rows."""
        is_shown = item.shown == fingerprint(newest)
        moves = plan(rows, newest, is_shown=is_shown)
        members = {move.member_uuid for move in moves}
        departures = [
            Departure(member, place)
            for member, place in item.rows.items()
            if member not in members and (schema.group_row_partition(member), place) in self._missing
        ]
        self._settlement.left = (self._settlement.left | frozenset(item.rows)) - members
        self._settlement.counts["previews_cut"] = sum(
            newest is not None and move.target.attributes[MESSAGE] != {"S": newest.message} for move in moves
        )
        is_whole = sum(len(move.rows) for move in moves) == len(rows)
        # A transaction whose version is already read may still be writing rows. So what the item says of a member
        # changes only together with a condition on their row.
        changed = [
            move
            for move in moves
            if move.is_needed or not is_shown or item.rows.get(move.member_uuid) != move.rows[0].sort_key
        ]
        listed = members | {departure.member_uuid for departure in departures}
        places = {member: place for member, place in item.rows.items() if member in listed}
        self._commit([*departures, *changed], replace(item, rows=places), fingerprint(newest) if is_whole else None)
        if self._refused:
            raise RefusedError(", ".join(sorted(set(self._refused.values()))))
        if not is_whole:
            raise TransientError("a member has more rows than one transaction takes")

    def _newest_message(self) -> Message | None:
        """The newest message that can be shown; malformed ones are skipped."""
        self._settlement.counts["malformed_messages"] = 0
        for attributes in self._table.newest_messages(self._group):
            try:
                return Message.from_attributes(attributes)
            except MalformedItemError:
                self._settlement.counts["malformed_messages"] += 1
        return None

    def _rows(self, item: ConversationItem) -> list[GroupRow]:
        """The rows that the item and the records name; the index is queried only if there may be others."""
        keys = item.keys | self._put_keys
        found = self._table.items(keys)
        rows = rows_of(self._group, found)
        if item.shown is None or not item.keys <= {row.key for row in rows}:
            rows += rows_of(self._group, self._table.items(self._table.keys_in_index(self._group) - keys))
        self._missing = item.keys - {key_of(attributes) for attributes in found}
        return rows

    def _commit(self, steps: Sequence[Step], item: ConversationItem, shown: str | None) -> None:
        """Commit the changes and the new places of the rows; only the last transaction writes what the rows show."""
        needed = [step for step in steps if step.member_uuid not in self._refused]
        pending = deque(pack(needed, self._max_actions) if needed else [()])
        while pending:
            batch = pending.popleft()
            if not batch and pending:
                continue
            version = self._new_version()
            moved = [step for step in batch if isinstance(step, Move)]
            gone = {step.member_uuid for step in batch if isinstance(step, Departure)}
            rows = {member: place for member, place in item.rows.items() if member not in gone}
            rows |= {move.member_uuid: move.target.sort_key for move in moved}
            shown_then = None if pending or self._refused else shown
            change = update(self._group, read=item, version=version, rows=rows, shown=shown_then)
            try:
                again = self._write(batch, change)
            except RefusedError as error:
                if not batch:
                    raise
                if len(batch) == 1:
                    self._refused[batch[0].member_uuid] = str(error)
                # Retry each step alone, to find the refused one. DynamoDB Local from npm also refuses more than ten
                # actions.
                pending.extendleft([(step,) for step in batch] if len(batch) > 1 else [()])
                continue
            if again is not None:
                pending.appendleft(again)
                continue
            item = replace(item, version={"S": version}, rows=rows)
            self._settlement.counts["rows_moved"] += sum(move.is_needed for move in moved)
            self._settlement.counts["duplicates_removed"] += sum(len(move.rows) - 1 for move in moved)

    def _write(self, batch: tuple[Step, ...], change: Action) -> tuple[Step, ...] | None:
        """Commit steps and a change of the conversation item; None, or what to commit instead.

        Raises OutdatedError if something was written since it was read.
        """
        try:
            self._table.write(batch, change)
        except CancelledError as cancelled:
            verdict = judge(batch, cancelled.reasons)
            if verdict.outdated is not None:
                raise OutdatedError(verdict.outdated) from cancelled
            if any(move.target.key in self._missing for move in verdict.taken):
                raise OutdatedError("a row has come to where the conversation item has it") from cancelled
            self._refused |= {step.member_uuid: code for step, code in verdict.refused}
            self._settlement.counts["ties"] += len(verdict.taken)
            elsewhere = {move.member_uuid: move.to_next_place() for move in verdict.taken}
            for member, move in elsewhere.items():
                if move is None:
                    self._refused[member] = "every sort key within a millisecond of the message is taken"
            again = [elsewhere.get(step.member_uuid) or step for step in batch]
            return tuple(step for step in again if step.member_uuid not in self._refused)
        return None
