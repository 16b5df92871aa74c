"""The dirty conversations of a batch of stream records. Pure: it reads only the records."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cruddur_messages import conversation_item, schema
from cruddur_messages.items import MESSAGE_UUID, GroupRow, Key, MalformedItemError, can_be_key


@dataclass
class DirtyConversation:
    """A conversation to settle, and why.

    `put_keys` are the keys of group rows that a backend has put: the index may not show them yet. `must_read_rows` is
    True if a record is not a new message: then the rows are read even if the conversation item says that they show the
    newest message, which may be wrong in a restored table. `newest_change` is the approximate time of the newest
    record, in seconds since 1970.
    """

    message_group_uuid: str
    sequence_numbers: list[str] = field(default_factory=list)
    put_keys: set[Key] = field(default_factory=set)
    must_read_rows: bool = False
    newest_change: float | None = None


@dataclass(frozen=True)
class FoldedBatch:
    """The dirty conversations of a batch, in order of appearance.

    `unusable` are sequence numbers of records that name no conversation, each with the reason: nothing can be settled
    for them, now or later. `ignored` counts records that change nothing here.
    """

    dirty: tuple[DirtyConversation, ...]
    unusable: tuple[tuple[str, str], ...]
    ignored: int


def fold(records: Iterable[Any]) -> FoldedBatch:
    """The dirty conversations of stream records (`event["Records"]`). No form of a record raises an error."""
    dirty: dict[str, DirtyConversation] = {}
    unusable: list[tuple[str, str]] = []
    ignored = 0
    for record in records:
        change = _mapping(_mapping(record).get("dynamodb"))
        sequence_number = str(change.get("SequenceNumber", ""))
        try:
            message_group_uuid, put_key = _conversation_of(change)
            if message_group_uuid and not can_be_key(conversation_item.key(message_group_uuid)):
                raise MalformedItemError("the id of the conversation is too long for a key")
        except MalformedItemError as malformed:
            unusable.append((sequence_number, str(malformed)))
            continue
        if message_group_uuid is None:
            ignored += 1
            continue
        conversation = dirty.setdefault(message_group_uuid, DirtyConversation(message_group_uuid))
        conversation.sequence_numbers.append(sequence_number)
        if put_key is not None:
            conversation.put_keys.add(put_key)
        if put_key is not None or _mapping(record).get("eventName") != "INSERT":
            conversation.must_read_rows = True
        changed_at = _seconds(change.get("ApproximateCreationDateTime"))
        if changed_at is not None:
            conversation.newest_change = max(changed_at, conversation.newest_change or changed_at)
    return FoldedBatch(tuple(dirty.values()), tuple(unusable), ignored)


def _conversation_of(change: Mapping[str, Any]) -> tuple[str | None, Key | None]:
    """The conversation of a change, and the key of the row that it puts, if any."""
    partition = _mapping(_mapping(change.get("Keys")).get(schema.PARTITION_KEY)).get("S")
    if not isinstance(partition, str):
        raise MalformedItemError(f"the record has no {schema.PARTITION_KEY}")
    if partition.startswith(schema.MESSAGE_PREFIX):
        message_group_uuid = partition.removeprefix(schema.MESSAGE_PREFIX)
        if not message_group_uuid:
            raise MalformedItemError(f"{schema.PARTITION_KEY} names no conversation")
        return message_group_uuid, None
    image = change.get("NewImage")
    if partition.startswith(schema.GROUP_ROW_PREFIX) and isinstance(image, Mapping):
        if "S" in _mapping(image.get(MESSAGE_UUID)):
            return None, None  # the projection's own write
        row = GroupRow.from_attributes(image)
        return row.message_group_uuid, row.key
    return None, None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _seconds(value: object) -> float | None:
    with suppress(OverflowError):
        return float(value) if isinstance(value, int | float) else None
    return None
