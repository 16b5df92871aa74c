"""Which conversations a batch of stream records makes dirty. Pure: it reads the records and nothing else."""

import base64
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cruddur_messages import schema
from cruddur_messages.items import MESSAGE_UUID, GroupRow, MalformedItemError


@dataclass
class DirtyConversation:
    """A conversation to settle, and why.

    `new_rows` are group rows that a backend has put and that the index may not show yet, by key.
    `newest_change` is the approximate time of its newest record, in seconds since 1970.
    """

    message_group_uuid: str
    sequence_numbers: list[str] = field(default_factory=list)
    new_rows: dict[tuple[str, str], GroupRow] = field(default_factory=dict)
    newest_change: float | None = None


@dataclass(frozen=True)
class UnusableRecord:
    """A record that names no conversation; nothing can be settled for it, now or later."""

    sequence_number: str
    reason: str


@dataclass(frozen=True)
class FoldedBatch:
    """A batch, reduced to its dirty conversations in order of appearance; `ignored` counts foreign records."""

    dirty: tuple[DirtyConversation, ...]
    unusable: tuple[UnusableRecord, ...]
    ignored: int


def fold(records: Iterable[Any]) -> FoldedBatch:
    """Fold stream records (`event["Records"]`) to the conversations they make dirty; no shape of a record raises."""
    dirty: dict[str, DirtyConversation] = {}
    unusable: list[UnusableRecord] = []
    ignored = 0
    for record in records:
        change = _mapping(_mapping(record).get("dynamodb"))
        sequence_number = str(change.get("SequenceNumber", ""))
        try:
            concerned = _conversation_of(_mapping(record).get("eventName"), change)
        except MalformedItemError as malformed:
            unusable.append(UnusableRecord(sequence_number, str(malformed)))
            continue
        if concerned is None:
            ignored += 1
            continue
        message_group_uuid, new_row = concerned
        conversation = dirty.setdefault(message_group_uuid, DirtyConversation(message_group_uuid))
        conversation.sequence_numbers.append(sequence_number)
        if new_row is not None:
            conversation.new_rows[new_row.key] = new_row
        changed_at = _seconds(change.get("ApproximateCreationDateTime"))
        if changed_at is not None:
            conversation.newest_change = max(changed_at, conversation.newest_change or changed_at)
    return FoldedBatch(tuple(dirty.values()), tuple(unusable), ignored)


def _conversation_of(event_name: object, change: Mapping[str, Any]) -> tuple[str, GroupRow | None] | None:
    """The conversation that a change concerns, with the row that it puts; None where it concerns none."""
    partition = _mapping(_mapping(change.get("Keys")).get(schema.PARTITION_KEY)).get("S")
    if not isinstance(partition, str):
        raise MalformedItemError(f"the record has no {schema.PARTITION_KEY}")
    if partition.startswith(schema.MESSAGE_PREFIX):
        message_group_uuid = partition.removeprefix(schema.MESSAGE_PREFIX)
        if not message_group_uuid:
            raise MalformedItemError(f"{schema.PARTITION_KEY} names no conversation")
        return message_group_uuid, None
    if partition.startswith(schema.GROUP_ROW_PREFIX) and event_name != "REMOVE":
        image = _mapping(change.get("NewImage"))
        if "S" in _mapping(image.get(MESSAGE_UUID)):
            return None  # the projection's own write
        row = GroupRow.from_attributes({name: _with_bytes(value) for name, value in image.items()})
        return row.message_group_uuid, row
    return None


def _with_bytes(value: Any) -> Any:
    """An attribute value as the SDK gives it: an event holds binary data as base64 text, at any depth."""
    match value:
        case {"B": str(data)}:
            return {"B": _decoded(data)}
        case {"BS": list(members)}:
            return {"BS": [_decoded(member) for member in members]}
        case {"L": list(elements)}:
            return {"L": [_with_bytes(element) for element in elements]}
        case {"M": dict(entries)}:
            return {"M": {name: _with_bytes(entry) for name, entry in entries.items()}}
    return value


def _decoded(data: Any) -> Any:
    with suppress(TypeError, ValueError):
        return base64.b64decode(data, validate=True)
    return data


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _seconds(value: object) -> float | None:
    with suppress(OverflowError):
        return float(value) if isinstance(value, int | float) else None
    return None
