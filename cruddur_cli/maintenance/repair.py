"""One conversation repaired while the system runs, with the projection's own planning and transactions.

What the projection cannot do by itself is done first, each step conditioned on what was read: messages get their time
in the one form, missing rows are put back as a backend puts new ones, wrong member counts are taken off. Then the
projection settles the conversation, merging, moving and counting its rows.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from cruddur_cli.maintenance.reader import ConversationReader
from cruddur_cli.maintenance.rekey import Rekeying
from cruddur_messages import schema, timestamps
from cruddur_messages.dynamodb import CancelledError, TransientError
from cruddur_messages.items import (
    MEMBER_COUNT,
    MESSAGE,
    USER_DISPLAY_NAME,
    USER_HANDLE,
    GroupRow,
    MalformedItemError,
    Message,
    User,
    text_or_empty,
)
from cruddur_messages.projection.members import Members
from cruddur_messages.projection.moves import MAX_NUDGE, Move, plan
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Projection
from cruddur_messages.projection.table import ProjectionTable
from cruddur_messages.projection.transactions import pack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 3
PAUSE_SECONDS = 0.2
MOST_MESSAGES_FOR_NAMES = 1000
"""How far back in a conversation the names of its members are looked for."""

OF_THIS_CONVERSATION = frozenset(
    {"ConditionalCheckFailedException", "TransactionCanceledException", "ValidationException"}
)
"""Errors that say something of one item, and nothing of the others."""

UNKNOWN = "unknown"
"""The name of a person of whom nothing tells the name."""

KEY_IS_FREE = f"attribute_not_exists({schema.PARTITION_KEY})"


@dataclass(frozen=True)
class Suspect:
    """A conversation to repair; `rekey` tells that its messages' timestamps are mixed."""

    message_group_uuid: str
    known_members: tuple[str, ...]
    rekey: bool


@dataclass
class Repair:
    """What was done to a conversation, or would be; `failure` says why it is not right yet."""

    message_group_uuid: str
    done: Counter[str] = field(default_factory=Counter)
    failure: str | None = None


class Repairer:
    """Repairs conversations of one table; `named` finds a user's names by id, for rows that have to be made anew."""

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        table_name: str,
        reader: ConversationReader,
        named: Callable[[str], User | None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._reader = reader
        self._named = named
        self._sleep = sleep
        self._rekeying = Rekeying(client=client, table_name=table_name, reader=reader, sleep=sleep)
        self._table = ProjectionTable(client=client, table_name=table_name, has_time=lambda: True)
        self._projection = Projection(client=client, table_name=table_name, seconds_left=lambda: math.inf, sleep=sleep)

    def repair(self, suspect: Suspect) -> Repair:
        """Repair a conversation; where its timestamps are mixed, also the form of those.

        Raises ClientError where DynamoDB refuses to be asked at all.
        """
        repair = Repair(suspect.message_group_uuid)
        try:
            if suspect.rekey:
                repair.done["messages_rekeyed"] = self._rekeying.run(suspect.message_group_uuid)
            for attempt in range(ATTEMPTS):
                if attempt:
                    self._reader.forget_inboxes()
                    self._sleep(PAUSE_SECONDS * attempt)
                repair.failure = self._try(suspect, repair.done)
                if repair.failure is None:
                    break
        except self._client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") not in OF_THIS_CONVERSATION:
                raise
            repair.failure = str(error)
        return repair

    def foresee(self, suspect: Suspect) -> Repair:
        """What `repair` would do, without doing it."""
        repair = Repair(suspect.message_group_uuid)
        newest = self._reader.newest_message(suspect.message_group_uuid)
        rows = self._reader.rows(suspect.message_group_uuid, suspect.known_members)
        if suspect.rekey:
            repair.done["messages_rekeyed"] = self._rekeying.foresee(suspect.message_group_uuid)
        repair.done["rows_recreated"] = len(self._missing_rows(suspect, rows, newest))
        moves = [move for move in plan(rows, newest) if move.is_needed]
        repair.done["rows_moved"] = len(moves)
        repair.done["duplicates_merged"] = sum(len(move.rows) - 1 for move in moves)
        return repair

    def _try(self, suspect: Suspect, done: Counter[str]) -> str | None:
        newest = self._reader.newest_message(suspect.message_group_uuid)
        rows = self._reader.rows(suspect.message_group_uuid, suspect.known_members)
        for row in self._missing_rows(suspect, rows, newest):
            rows.append(self._put_on_a_free_key(row))
            done["rows_recreated"] += 1
        try:
            rows = self._without_wrong_counts(rows, newest)
        except (CancelledError, TransientError) as error:
            return str(error)
        settlement = self._projection.settle(
            DirtyConversation(suspect.message_group_uuid, new_rows={row.key: row for row in rows})
        )
        done["rows_moved"] += settlement.counts["rows_moved"]
        done["duplicates_merged"] += settlement.counts["rows_healed"]
        return settlement.failure

    def _missing_rows(self, suspect: Suspect, rows: Sequence[GroupRow], newest: Message | None) -> list[GroupRow]:
        """A row for each known member without one, as a backend would put it: the projection takes it up.

        It names the person whom most of the other rows name.
        """
        with_row = {row.member_uuid for row in rows}
        members = sorted({*suspect.known_members, *with_row, *(row.other_uuid for row in rows)} - {""})
        missing = [member for member in members if member not in with_row]
        if not missing:
            return []
        users = self._users(suspect.message_group_uuid, members, rows)
        named = Counter(row.other_uuid for row in rows)
        recreated: list[GroupRow] = []
        for member in missing:
            others = [other for other in members if other != member]
            other = max(others, key=lambda uuid: (named[uuid], uuid in with_row), default="")
            recreated.append(
                GroupRow(
                    {
                        schema.PARTITION_KEY: {"S": schema.group_row_partition(member)},
                        schema.SORT_KEY: {"S": timestamps.canonical(_last_time(rows, newest))},
                        schema.INDEX_PARTITION_KEY: {"S": suspect.message_group_uuid},
                        MESSAGE: {"S": newest.message if newest else ""},
                        **users.get(other, User(other, UNKNOWN, UNKNOWN)).to_attributes(),
                    }
                )
            )
        return recreated

    def _users(self, message_group_uuid: str, members: Sequence[str], rows: Iterable[GroupRow]) -> dict[str, User]:
        """The members' names as the rows, else the messages, else the users of the app have them."""
        users = {
            row.other_uuid: User(
                row.other_uuid,
                text_or_empty(row.attributes, USER_DISPLAY_NAME),
                text_or_empty(row.attributes, USER_HANDLE),
            )
            for row in rows
            if text_or_empty(row.attributes, USER_HANDLE)
        }
        unknown = set(members) - users.keys()
        for item in islice(self._reader.messages(message_group_uuid), MOST_MESSAGES_FOR_NAMES):
            if not unknown:
                break
            try:
                message = Message.from_attributes(item)
            except MalformedItemError:
                continue
            if message.user_uuid in unknown:
                users[message.user_uuid] = User(message.user_uuid, message.user_display_name, message.user_handle)
                unknown.discard(message.user_uuid)
        for member in unknown:
            if user := self._named(member):
                users[member] = user
        return users

    def _put_on_a_free_key(self, row: GroupRow) -> GroupRow:
        """Put a row, microseconds later where another conversation's row has its key."""
        instant = timestamps.parse(row.sort_key)
        assert instant is not None
        latest = instant + MAX_NUDGE
        while True:
            candidate = GroupRow({**row.attributes, schema.SORT_KEY: {"S": timestamps.canonical(instant)}})
            try:
                self._client.put_item(
                    TableName=self._table_name, Item=candidate.attributes, ConditionExpression=KEY_IS_FREE
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                instant += timestamps.MICROSECOND
                if instant > latest:
                    raise
            else:
                return candidate

    def _without_wrong_counts(self, rows: Sequence[GroupRow], newest: Message | None) -> list[GroupRow]:
        """The rows, rid of their member counts where these do not add up (docs/decisions/0004).

        The projection would wait for members that there are not; without the counts it counts anew. Raises
        CancelledError where a row has changed, and TransientError.
        """
        members = Members.of(rows)
        if len(members.counted) == members.expected:
            return list(rows)
        moves = [
            Move((row,), GroupRow({name: value for name, value in row.attributes.items() if name != MEMBER_COUNT}))
            for row in rows
        ]
        for transaction in pack([move for move in moves if move.is_needed], newest):
            self._table.make(transaction)
        return [move.target for move in moves]


def _last_time(rows: Iterable[GroupRow], newest: Message | None) -> datetime:
    if newest is not None:
        return newest.instant
    known = [instant for row in rows if (instant := timestamps.parse(row.sort_key)) is not None]
    return max(known, default=datetime.now(UTC))
