"""The repair of one conversation while the system runs, with the projection's own planning and transactions.

First comes what the projection cannot do, each step conditioned on what was read: messages get canonical timestamps,
and missing rows are put back as a backend puts new ones. Then the projection settles the conversation: it removes
duplicates, moves the rows, and writes the conversation item.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cruddur_cli.maintenance.rekey import Rekeying
from cruddur_messages import member_item, schema, timestamps
from cruddur_messages.audit.reader import ConversationReader
from cruddur_messages.conversation_item import fingerprint
from cruddur_messages.dynamodb import CONDITION_FAILED, error_code, put_new, reasons, senders
from cruddur_messages.items import (
    ERASED,
    USER_HANDLE,
    UUID,
    GroupRow,
    Message,
    User,
    text_or_empty,
)
from cruddur_messages.projection.moves import plan
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settler import Settler

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 3
PAUSE_SECONDS = 0.2
OF_THIS_CONVERSATION = frozenset(
    {"ConditionalCheckFailedException", "TransactionCanceledException", "ValidationException"}
)
"""Errors that concern one item only."""


@dataclass(frozen=True)
class Suspect:
    """A conversation to repair; `rekey` is True if its messages' timestamps are mixed.

    `newest_key` is the sort key of the newest message read so far, if known: senders of newer ones are members too.
    """

    message_group_uuid: str
    known_members: tuple[str, ...]
    rekey: bool = False
    newest_key: str | None = None


@dataclass
class Repair:
    """What was or would be done to a conversation; `failure` says why it is not right yet."""

    message_group_uuid: str
    done: Counter[str] = field(default_factory=Counter)
    failure: str | None = None


class Repairer:
    """Repairs conversations of one table; `named` looks up a user by id, for rows that have to be created again."""

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        table_name: str,
        named: Callable[[str], User | None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table_name = table_name
        self.reader = ConversationReader(client=client, table_name=table_name)
        self._named = named
        self._sleep = sleep
        self._rekeying = Rekeying(client=client, table_name=table_name, reader=self.reader, sleep=sleep)
        self._projection = Settler(client=client, table_name=table_name, seconds_left=lambda: math.inf, sleep=sleep)

    def repair(self, suspect: Suspect) -> Repair:
        """Repair a conversation, and its timestamps if their forms are mixed.

        Raises ClientError if the error does not concern a single item.
        """
        repair = Repair(suspect.message_group_uuid)
        try:
            if suspect.rekey:
                repair.done["messages_rekeyed"] = self._rekeying.run(suspect.message_group_uuid)
            for attempt in range(ATTEMPTS):
                if attempt:
                    self.reader.forget_inboxes()
                    self._sleep(PAUSE_SECONDS * attempt)
                repair.failure = self._try(suspect, repair.done)
                if repair.failure is None:
                    break
        except self._client.exceptions.ClientError as error:
            if error_code(error) not in OF_THIS_CONVERSATION:
                raise
            repair.failure = str(error)
        return repair

    def preview(self, suspect: Suspect) -> Repair:
        """What `repair` would do, without any write."""
        repair = Repair(suspect.message_group_uuid)
        if suspect.rekey:
            repair.done["messages_rekeyed"] = self._rekeying.preview(suspect.message_group_uuid)
        if (seen := self._read(suspect)) is None:
            return repair
        repair.done["rows_recreated"] = len(self._missing_rows(seen))
        moves = [move for move in plan(seen.rows, seen.newest, is_shown=seen.is_shown) if move.is_needed]
        repair.done["rows_moved"] = len(moves)
        repair.done["duplicates_removed"] = sum(len(move.rows) - 1 for move in moves)
        return repair

    def _try(self, suspect: Suspect, done: Counter[str]) -> str | None:
        if (seen := self._read(suspect)) is None:
            return None
        put = [self._put_unless_left(row) for row in self._missing_rows(seen)]
        recreated = [row for row in put if row is not None]
        done["rows_recreated"] += len(recreated)
        keys = {row.key for row in (*seen.rows, *recreated)}
        settlement = self._projection.settle(
            DirtyConversation(suspect.message_group_uuid, put_keys=keys, must_read_rows=True)
        )
        for name in ("rows_moved", "duplicates_removed"):
            done[name] += settlement.counts[name]
        return settlement.failure

    def _read(self, suspect: Suspect) -> "_Seen | None":
        """Read the conversation in the order of a settlement: first the item, then messages, then rows.

        None if it has none of these: it was deleted, whatever members the suspect names.
        """
        group = suspect.message_group_uuid
        item = self.reader.item(group)
        messages = self.reader.messages_since(group, suspect.newest_key)
        senders = {message.sender.uuid for message in messages} - {""}
        known = {*suspect.known_members, *item.rows, *senders}
        rows = self.reader.rows(group, known)
        if not (rows or item.rows or item.version or any(self.reader.messages(group, first_page=1))):
            return None
        with_row = {row.member_uuid for row in rows}
        known |= {row.other_uuid for row in rows}
        without_row = {uuid for uuid in known - with_row if UUID.fullmatch(uuid)}
        known = with_row | without_row
        known -= self.reader.left(group, known)
        newest = messages[0] if messages else None
        return _Seen(group, newest, rows, frozenset(known), is_shown=item.shown == fingerprint(newest))

    def _missing_rows(self, seen: "_Seen") -> list[GroupRow]:
        """A row for each known member without one, as a backend puts it, so that the projection settles it.

        It names the person that most of the other rows name, and nobody who has left. It names ERASED if there is
        nobody else, so that its owner can leave too.
        """
        rows, newest = seen.rows, seen.newest
        with_row = {row.member_uuid for row in rows}
        members = sorted(seen.known)
        missing = [member for member in members if member not in with_row]
        if not missing:
            return []
        users = self._users(seen.message_group_uuid, members, rows) | {ERASED.uuid: ERASED}
        named = Counter(row.other_uuid for row in rows)
        is_group = any(row.is_group for row in rows) or len(seen.known) > 2
        recreated: list[GroupRow] = []
        for member in missing:
            others = [other for other in members if other != member]
            other = max(others, key=lambda uuid: (named[uuid], uuid in with_row), default=ERASED.uuid)
            recreated.append(
                GroupRow.new(
                    member,
                    seen.message_group_uuid,
                    timestamps.canonical(_last_time(rows, newest)),
                    newest.message if newest else "",
                    users.get(other, User(other, schema.UNKNOWN, schema.UNKNOWN)),
                    is_group=is_group,
                )
            )
        return recreated

    def _users(self, message_group_uuid: str, members: Sequence[str], rows: Iterable[GroupRow]) -> dict[str, User]:
        """The members' names from the rows, else from the messages, else from the app's users."""
        users = {
            row.other_uuid: User.from_attributes(row.attributes)
            for row in rows
            if text_or_empty(row.attributes, USER_HANDLE)
        }
        unknown = set(members) - users.keys()
        for sender in senders(self._client.query, self._table_name, message_group_uuid) if unknown else ():
            users.setdefault(sender.uuid, sender)
            if unknown <= users.keys():
                break
        for member in unknown - users.keys():
            if user := self._named(member):
                users[member] = user
        return users

    def _put_unless_left(self, row: GroupRow) -> GroupRow | None:
        """Put a row, moved by microseconds if another conversation's row has its key; None if its owner has left."""
        stays = member_item.staying(self._table_name, row.message_group_uuid, row.member_uuid)
        instant = timestamps.parse(row.sort_key)
        assert instant is not None
        latest = instant + timestamps.MAX_TIE_OFFSET
        while True:
            candidate = GroupRow({**row.attributes, schema.SORT_KEY: {"S": timestamps.canonical(instant)}})
            put = put_new(self._table_name, candidate.attributes)
            try:
                self._client.transact_write_items(TransactItems=[stays, put])
            except self._client.exceptions.TransactionCanceledException as error:
                member, place = reasons(error)
                if member == CONDITION_FAILED:
                    return None
                instant += timestamps.MICROSECOND
                if place != CONDITION_FAILED or instant > latest:
                    raise
            else:
                return candidate


@dataclass(frozen=True)
class _Seen:
    """A conversation as read; `is_shown` is True if its newest message was settled before."""

    message_group_uuid: str
    newest: Message | None
    rows: list[GroupRow]
    known: frozenset[str]
    is_shown: bool


def _last_time(rows: Iterable[GroupRow], newest: Message | None) -> datetime:
    if newest is not None:
        return newest.instant
    known = [instant for row in rows if (instant := timestamps.parse(row.sort_key)) is not None]
    return max(known, default=datetime.now(UTC))
