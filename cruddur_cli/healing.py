"""One conversation put right while the system runs, with the projection's own planning and transactions.

What the projection cannot do by itself is done first, each step conditioned on what was read: messages get their time
in the one form, missing rows are put back as a backend puts new ones, wrong member counts are taken off. Then the
projection settles the conversation, merging, moving and counting its rows.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from cruddur_cli.conversation_reader import ConversationReader
from cruddur_messages import schema, timestamps
from cruddur_messages.dynamodb import CONDITION_FAILED, TRANSIENT_CODES
from cruddur_messages.items import (
    MESSAGE,
    MESSAGE_UUID,
    USER_DISPLAY_NAME,
    USER_HANDLE,
    AttributeMap,
    GroupRow,
    MalformedItemError,
    Message,
    User,
    text_or_empty,
)
from cruddur_messages.projection.moves import MAX_BEHIND, plan
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Projection
from cruddur_messages.projection.table import ProjectionTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

ATTEMPTS = 3
PAUSE_SECONDS = 0.2
MOST_HINDRANCES = 50
"""How often a message is tried to be put under its time while others write it, or the table has no capacity."""

MOST_MESSAGES_FOR_NAMES = 1000
"""How far back in a conversation the names of its members are looked for."""

OF_THIS_CONVERSATION = frozenset(
    {"ConditionalCheckFailedException", "TransactionCanceledException", "ValidationException"}
)
"""Errors that say something of one item, and nothing of the others."""

UNKNOWN = "unknown"
"""The name of a person of whom nothing tells the name."""

KEY_IS_FREE = f"attribute_not_exists({schema.PARTITION_KEY})"


@dataclass
class Healing:
    """What was done to a conversation, or would be; `failure` says why it is not right yet."""

    message_group_uuid: str
    done: Counter[str] = field(default_factory=Counter)
    failure: str | None = None


class Healer:
    """Heals conversations of one table; `named` finds a user's names by id, for rows that have to be made anew."""

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
        self._table = ProjectionTable(client=client, table_name=table_name, has_time=lambda: True)
        self._projection = Projection(client=client, table_name=table_name, seconds_left=lambda: math.inf, sleep=sleep)

    def heal(self, message_group_uuid: str, known_members: Collection[str], *, rekey: bool = False) -> Healing:
        """Put a conversation right; with `rekey`, also the form of its messages' timestamps.

        Raises ClientError where DynamoDB refuses to be asked at all.
        """
        healing = Healing(message_group_uuid)
        try:
            if rekey:
                self._rekey_messages(healing)
            for attempt in range(ATTEMPTS):
                if attempt:
                    self._reader.forget_inboxes()
                    self._sleep(PAUSE_SECONDS * attempt)
                healing.failure = self._try(message_group_uuid, known_members, healing.done)
                if healing.failure is None:
                    break
        except self._client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") not in OF_THIS_CONVERSATION:
                raise
            healing.failure = str(error)
        return healing

    def foresee(self, message_group_uuid: str, known_members: Collection[str], *, rekey: bool = False) -> Healing:
        """What `heal` would do, without doing it."""
        healing = Healing(message_group_uuid)
        newest = self._reader.newest_message(message_group_uuid)
        rows = self._reader.rows(message_group_uuid, known_members)
        recreated = self._missing_rows(message_group_uuid, known_members, rows, newest)
        if rekey:
            healing.done["messages_rekeyed"] = sum(1 for _ in self._messages_to_rekey(message_group_uuid))
        healing.done["rows_recreated"] = len(recreated)
        moves = [move for move in plan(rows, newest, is_shown=False) if move.is_needed]
        healing.done["rows_moved"] = len(moves)
        healing.done["duplicates_removed"] = sum(len(move.rows) - 1 for move in moves)
        return healing

    def _try(self, message_group_uuid: str, known_members: Collection[str], done: Counter[str]) -> str | None:
        newest = self._reader.newest_message(message_group_uuid)
        rows = self._reader.rows(message_group_uuid, known_members)
        for row in self._missing_rows(message_group_uuid, known_members, rows, newest):
            rows.append(self._put_on_a_free_key(row))
            done["rows_recreated"] += 1
        settlement = self._projection.settle(
            DirtyConversation(message_group_uuid, put_keys={row.key for row in rows}, must_read_rows=True)
        )
        for name in ("rows_moved", "duplicates_removed"):
            done[name] += settlement.counts[name]
        return settlement.failure

    def _missing_rows(
        self,
        message_group_uuid: str,
        known_members: Collection[str],
        rows: Sequence[GroupRow],
        newest: Message | None,
    ) -> list[GroupRow]:
        """A row for each known member without one, as a backend would put it: the projection takes it up.

        It names the person whom most of the other rows name.
        """
        with_row = {row.member_uuid for row in rows}
        members = sorted({*known_members, *with_row, *(row.other_uuid for row in rows)} - {""})
        missing = [member for member in members if member not in with_row]
        if not missing:
            return []
        users = self._users(message_group_uuid, members, rows)
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
                        schema.INDEX_PARTITION_KEY: {"S": message_group_uuid},
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
        latest = instant + MAX_BEHIND
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

    def _messages_to_rekey(self, message_group_uuid: str) -> Iterable[tuple[AttributeMap, datetime]]:
        for item in self._reader.messages(message_group_uuid):
            instant = timestamps.parse(text_or_empty(item, schema.SORT_KEY))
            if instant is not None and timestamps.canonical(instant) != text_or_empty(item, schema.SORT_KEY):
                yield item, instant

    def _rekey_messages(self, healing: Healing) -> None:
        for item, instant in list(self._messages_to_rekey(healing.message_group_uuid)):
            healing.done["messages_rekeyed"] += self._rekey(item, instant)

    def _rekey(self, item: AttributeMap, instant: datetime) -> bool:
        """Put a message under its time in the one form, in the same transaction that takes it from its old key.

        False where it has been changed or deleted meanwhile, or others were always faster.
        """
        key = {name: item[name] for name in (schema.PARTITION_KEY, schema.SORT_KEY)}
        shown = [name for name in (MESSAGE, MESSAGE_UUID) if name in item]
        unchanged = {
            "ConditionExpression": " AND ".join(["attribute_exists(#pk)", *(f"#{name} = :{name}" for name in shown)]),
            "ExpressionAttributeNames": {"#pk": schema.PARTITION_KEY, **{f"#{name}": name for name in shown}},
            **({"ExpressionAttributeValues": {f":{name}": item[name] for name in shown}} if shown else {}),
        }
        latest = instant + MAX_BEHIND
        hindered = 0
        while instant <= latest and hindered < MOST_HINDRANCES:
            moved: dict[str, AttributeValueTypeDef] = {**item, schema.SORT_KEY: {"S": timestamps.canonical(instant)}}
            try:
                self._client.transact_write_items(
                    TransactItems=[
                        {"Delete": {"TableName": self._table_name, "Key": key, **unchanged}},  # type: ignore[typeddict-item]
                        {"Put": {"TableName": self._table_name, "Item": moved, "ConditionExpression": KEY_IS_FREE}},
                    ]
                )
            except self._client.exceptions.TransactionCanceledException as cancelled:
                codes = [reason.get("Code") for reason in cancelled.response.get("CancellationReasons", [])]
                if codes[0] == CONDITION_FAILED:
                    return False
                if codes[1] == CONDITION_FAILED:
                    instant += timestamps.MICROSECOND
                elif TRANSIENT_CODES.isdisjoint(codes):
                    raise
                else:
                    hindered += 1
                    self._sleep(PAUSE_SECONDS)
            else:
                return True
        return False


def _last_time(rows: Iterable[GroupRow], newest: Message | None) -> datetime:
    if newest is not None:
        return newest.instant
    known = [instant for row in rows if (instant := timestamps.parse(row.sort_key)) is not None]
    return max(known, default=datetime.now(UTC))
