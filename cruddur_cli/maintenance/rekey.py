"""Rewrites timestamps of several forms in the canonical form, so that text order is time order again."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from cruddur_messages import schema, timestamps
from cruddur_messages.audit.reader import ConversationReader
from cruddur_messages.dynamodb import CONDITION_FAILED, TRANSIENT_CODES, put_new, reasons
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, AttributeMap, text_or_empty

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

PAUSE_SECONDS = 0.2
MOST_FAILURES = 50
"""How many attempts to move a message may fail on conflicts or lack of capacity."""


class Rekeying:
    """Gives messages of one table a sort key in the canonical form; nothing else of a message changes."""

    def __init__(
        self,
        *,
        client: "DynamoDBClient",
        table_name: str,
        reader: ConversationReader,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._reader = reader
        self._sleep = sleep

    def preview(self, message_group_uuid: str) -> int:
        """The number of messages of a conversation that would get another key."""
        return sum(1 for _ in self._messages(message_group_uuid))

    def run(self, message_group_uuid: str) -> int:
        """Rekey the messages of a conversation and return how many got another key."""
        return sum(self._rekey(item, instant) for item, instant in list(self._messages(message_group_uuid)))

    def _messages(self, message_group_uuid: str) -> Iterator[tuple[AttributeMap, datetime]]:
        for item in self._reader.messages(message_group_uuid):
            instant = timestamps.parse(text_or_empty(item, schema.SORT_KEY))
            if instant is not None and timestamps.canonical(instant) != text_or_empty(item, schema.SORT_KEY):
                yield item, instant

    def _rekey(self, item: AttributeMap, instant: datetime) -> bool:
        """Put a message under its canonical key and delete it under the old one, in one transaction.

        False if it was changed or deleted meanwhile, or if too many attempts failed.
        """
        key = {name: item[name] for name in (schema.PARTITION_KEY, schema.SORT_KEY)}
        shown = [name for name in (MESSAGE, MESSAGE_UUID) if name in item]
        unchanged = {
            "ConditionExpression": " AND ".join(["attribute_exists(#pk)", *(f"#{name} = :{name}" for name in shown)]),
            "ExpressionAttributeNames": {"#pk": schema.PARTITION_KEY, **{f"#{name}": name for name in shown}},
            **({"ExpressionAttributeValues": {f":{name}": item[name] for name in shown}} if shown else {}),
        }
        latest = instant + timestamps.MAX_TIE_OFFSET
        failures = 0
        while instant <= latest and failures < MOST_FAILURES:
            moved: dict[str, AttributeValueTypeDef] = {**item, schema.SORT_KEY: {"S": timestamps.canonical(instant)}}
            try:
                self._client.transact_write_items(
                    TransactItems=[
                        {"Delete": {"TableName": self._table_name, "Key": key, **unchanged}},  # type: ignore[typeddict-item]
                        put_new(self._table_name, moved),
                    ]
                )
            except self._client.exceptions.TransactionCanceledException as cancelled:
                codes = reasons(cancelled)
                if codes[0] == CONDITION_FAILED:
                    return False
                if codes[1] == CONDITION_FAILED:
                    instant += timestamps.MICROSECOND
                elif TRANSIENT_CODES.isdisjoint(codes):
                    raise
                else:
                    failures += 1
                    self._sleep(PAUSE_SECONDS)
            else:
                return True
        return False
