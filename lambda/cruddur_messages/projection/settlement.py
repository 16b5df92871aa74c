"""Access pattern E: every member's group row shows the newest message of the conversation.

A stream record only says which conversation is dirty. To settle it, read the version of its conversation item, then
its newest message and its rows, and commit what differs together with the next version, on the condition that the
version is still the one that was read. docs/decisions/0004 proves that this is exact.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from cruddur_messages import schema
from cruddur_messages.conversation_item import ConversationItem, fingerprint, update
from cruddur_messages.dynamodb import CancelledError, RefusedError, TransientError
from cruddur_messages.items import MESSAGE, GroupRow, Key, MalformedItemError, Message, key_of
from cruddur_messages.projection.moves import Departure, Move, plan
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.table import ProjectionTable, rows_of
from cruddur_messages.projection.transactions import Step, judge, pack


class OutdatedError(Exception):
    """Something was written since it was read; the text says what."""


class Settlement:
    """Settles one conversation.

    `failure` says why it has to be tried again, None if it is settled. `left` are members without a row. `new_version`
    returns a value that was never a version before.
    """

    def __init__(
        self,
        conversation: DirtyConversation,
        *,
        table: ProjectionTable,
        new_version: Callable[[], str],
        max_actions: int,
    ) -> None:
        self.message_group_uuid = conversation.message_group_uuid
        self.failure: str | None = "not reached"
        self.left: frozenset[str] = frozenset()
        self.counts = Counter[str]()
        self._put_keys = conversation.put_keys
        self._must_read_rows = conversation.must_read_rows or bool(conversation.put_keys)
        self._table = table
        self._new_version = new_version
        self._max_actions = max_actions
        self._refused: dict[str, str] = {}
        self._missing: set[Key] = set()

    def attempt(self) -> None:
        """Read once and commit what differs.

        Raises OutdatedError and TransientError if reading again may help, and RefusedError.
        """
        self._refused = {}
        # The version is read first: if somebody commits after this read, this settlement's commit fails.
        item = self._table.conversation(self.message_group_uuid)
        newest = self._newest_message()
        shown = fingerprint(newest)
        if item.shown == shown and not self._must_read_rows:
            # The next version makes every commit fail that has read an older message.
            self._commit([], item, shown)
        else:
            self._settle_rows(item, newest, shown)

    def _settle_rows(self, item: ConversationItem, newest: Message | None, shown: str) -> None:
        """Commit the moves that the rows need, and the new places of the rows."""
        rows = self._rows(item)
        moves = plan(rows, newest, is_shown=item.shown == shown)
        members = {move.member_uuid for move in moves}
        departures = [
            Departure(member, place)
            for member, place in item.rows.items()
            if member not in members and (schema.group_row_partition(member), place) in self._missing
        ]
        self.left = self.left.union(item.rows) - members
        self.counts["previews_cut"] = sum(
            newest is not None and move.target.attributes[MESSAGE] != {"S": newest.message} for move in moves
        )
        is_whole = sum(len(move.rows) for move in moves) == len(rows)
        # A transaction whose version is already read may still be writing rows. So what the item says of a member
        # changes only together with a condition on their row.
        changed = [
            move
            for move in moves
            if move.is_needed or item.shown != shown or item.rows.get(move.member_uuid) != move.rows[0].sort_key
        ]
        listed = members | {departure.member_uuid for departure in departures}
        places = {member: place for member, place in item.rows.items() if member in listed}
        self._commit([*departures, *changed], replace(item, rows=places), shown if is_whole else None)
        if self._refused:
            raise RefusedError(", ".join(sorted(set(self._refused.values()))))
        if not is_whole:
            raise TransientError("a member has more rows than one transaction takes")

    def _newest_message(self) -> Message | None:
        """The newest message that can be shown; malformed ones are skipped."""
        self.counts["malformed_messages"] = 0
        for attributes in self._table.newest_messages(self.message_group_uuid):
            try:
                return Message.from_attributes(attributes)
            except MalformedItemError:
                self.counts["malformed_messages"] += 1
        return None

    def _rows(self, item: ConversationItem) -> list[GroupRow]:
        """The rows that the item and the records name; the index is queried only if there may be others."""
        keys = item.keys | self._put_keys
        found = self._table.items(keys)
        rows = rows_of(self.message_group_uuid, found)
        if item.shown is None or not item.keys <= {row.key for row in rows}:
            others = self._table.keys_in_index(self.message_group_uuid) - keys
            rows += rows_of(self.message_group_uuid, self._table.items(others))
        self._missing = item.keys - {key_of(attributes) for attributes in found}
        return rows

    def _commit(self, steps: Sequence[Step], item: ConversationItem, shown: str | None) -> None:
        """Commit the changes and the new places of the rows; only the last transaction writes what the rows show."""
        pending = deque(pack(steps, self._max_actions))
        while pending:
            batch = pending.popleft()
            if not batch and pending:
                continue
            gone = {step.member_uuid for step in batch if isinstance(step, Departure)}
            moved = [step for step in batch if isinstance(step, Move)]
            rows = {member: place for member, place in item.rows.items() if member not in gone}
            rows |= {move.member_uuid: move.target.sort_key for move in moved}
            then = ConversationItem({"S": self._new_version()}, rows, None if pending or self._refused else shown)
            try:
                self._table.write(batch, update(self.message_group_uuid, read=item.version, then=then))
            except RefusedError as refused:
                pending.extendleft(self._split(batch, refused))
            except CancelledError as cancelled:
                pending.appendleft(self._changed(batch, cancelled))
            else:
                item = then
                self.counts["rows_moved"] += sum(move.is_needed for move in moved)
                self.counts["duplicates_removed"] += sum(len(move.rows) - 1 for move in moved)

    def _split(self, batch: Sequence[Step], refused: RefusedError) -> list[tuple[Step, ...]]:
        """What to commit instead of a refused transaction: each step alone, to find the refused one.

        DynamoDB Local from npm also refuses more than ten actions. Raises RefusedError if there is no step.
        """
        if not batch:
            raise refused
        if len(batch) > 1:
            return [(step,) for step in batch]
        self._refused[batch[0].member_uuid] = str(refused)
        return [()]

    def _changed(self, batch: Sequence[Step], cancelled: CancelledError) -> tuple[Step, ...]:
        """What to commit instead of a cancelled transaction: ties to their next place, and no refused step.

        Raises OutdatedError if something was written since it was read.
        """
        verdict = judge(batch, cancelled.reasons)
        if verdict.outdated is not None:
            raise OutdatedError(verdict.outdated) from cancelled
        if any(move.target.key in self._missing for move in verdict.taken):
            raise OutdatedError("a row has come to where the conversation item has it") from cancelled
        self._refused |= {step.member_uuid: code for step, code in verdict.refused}
        self.counts["ties"] += len(verdict.taken)
        elsewhere = {move.member_uuid: move.to_next_place() for move in verdict.taken}
        for member, move in elsewhere.items():
            if move is None:
                self._refused[member] = "every sort key within a millisecond of the message is taken"
        again = [elsewhere.get(step.member_uuid) or step for step in batch]
        return tuple(step for step in again if step.member_uuid not in self._refused)
