"""The promises of a table, and the checks for broken ones. Pure: snapshots in, findings out."""

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from cruddur_messages import schema, timestamps
from cruddur_messages.audit.snapshot import MIXED, UTC_OFFSET, ConversationSnapshot, RowSnapshot, TableSnapshot
from cruddur_messages.conversation_item import ConversationItem, fingerprint
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, Message


class Problem(StrEnum):
    """The kinds of broken promises."""

    DUPLICATE_ROW = "duplicate row"
    MISSING_ROW = "missing row"
    STALE_PREVIEW = "stale preview"
    ROW_WITHOUT_CONVERSATION = "row without a conversation"
    WRONG_CONVERSATION_ITEM = "wrong conversation item"
    MALFORMED_TIMESTAMP = "malformed timestamp"
    MIXED_TIMESTAMPS = "mixed timestamps"
    MALFORMED_ITEM = "malformed item"


MEANINGS: Mapping[Problem, str] = {
    Problem.DUPLICATE_ROW: "a member has more than one group row of the conversation",
    Problem.MISSING_ROW: "a member (by messages, start, rows or conversation item) has no group row",
    Problem.STALE_PREVIEW: "text, id or time of the row are not those of the newest message",
    Problem.ROW_WITHOUT_CONVERSATION: "the row shows a message, and the conversation has none",
    Problem.WRONG_CONVERSATION_ITEM: "it differs from the rows and what they show, or a settlement is unfinished",
    Problem.MALFORMED_TIMESTAMP: "the sort key is not an ISO 8601 timestamp",
    Problem.MIXED_TIMESTAMPS: "timestamps with different offsets are mixed, so text order is not time order",
    Problem.MALFORMED_ITEM: "an attribute that every item of its kind has is missing or has another type",
}


class Finding(NamedTuple):
    """One broken promise, without message text and names.

    `member_uuid` is empty if it is about a message. `sort_key` is empty too if it is about a whole conversation.
    """

    problem: Problem
    message_group_uuid: str
    member_uuid: str
    sort_key: str


def check_table(table: TableSnapshot) -> Iterator[Finding]:
    """Every broken promise of a table, conversation by conversation."""
    for malformed in table.malformed_rows:
        yield Finding(Problem.MALFORMED_ITEM, *malformed)
    for message_group_uuid, conversation in table.conversations.items():
        yield from check_conversation(message_group_uuid, conversation)
        for row in conversation.rows:
            mixed = table.inbox_forms.get(row.member_uuid) == MIXED
            if mixed and not row.sort_key.endswith(UTC_OFFSET) and timestamps.parse(row.sort_key):
                yield Finding(Problem.MIXED_TIMESTAMPS, message_group_uuid, row.member_uuid, row.sort_key)


def check_conversation(message_group_uuid: str, conversation: ConversationSnapshot) -> Iterator[Finding]:
    """The broken promises of one conversation."""
    for sort_key in conversation.malformed_keys:
        yield Finding(Problem.MALFORMED_TIMESTAMP, message_group_uuid, "", sort_key)
    for sort_key in conversation.malformed_items:
        yield Finding(Problem.MALFORMED_ITEM, message_group_uuid, "", sort_key)
    if conversation.form == MIXED:
        yield Finding(Problem.MIXED_TIMESTAMPS, message_group_uuid, "", "")
    rows_of = Counter(row.member_uuid for row in conversation.rows)
    for member_uuid in sorted(conversation.members - rows_of.keys()):
        yield Finding(Problem.MISSING_ROW, message_group_uuid, member_uuid, "")
    if conversation.item is not None and not _agrees(conversation.item, conversation):
        yield Finding(Problem.WRONG_CONVERSATION_ITEM, message_group_uuid, "", "")
    for row in conversation.rows:
        if rows_of[row.member_uuid] > 1:
            yield Finding(Problem.DUPLICATE_ROW, message_group_uuid, row.member_uuid, row.sort_key)
        if problem := _problem_of_preview(row, conversation):
            yield Finding(problem, message_group_uuid, row.member_uuid, row.sort_key)


def _agrees(item: ConversationItem, conversation: ConversationSnapshot) -> bool:
    """Whether the conversation item says where the rows are, and that they show the newest message."""
    rows = {(row.member_uuid, row.sort_key) for row in conversation.rows}
    return set(item.rows.items()) == rows and item.shown == fingerprint(_newest(conversation))


def _newest(conversation: ConversationSnapshot) -> Message | None:
    if not conversation.newest_key:
        return None
    return Message.from_attributes(
        {
            schema.PARTITION_KEY: {"S": ""},
            schema.SORT_KEY: {"S": conversation.newest_key},
            MESSAGE_UUID: {"S": conversation.newest_uuid},
            MESSAGE: {"S": conversation.newest_text},
        }
    )


_EMPTY = frozenset({hash(""), hash(None)})


def _problem_of_preview(row: RowSnapshot, conversation: ConversationSnapshot) -> Problem | None:
    if (
        row.sort_key == conversation.newest_key
        and row.text_hash == hash(conversation.newest_text)
        and row.message_uuid == conversation.newest_uuid
    ):
        return None
    instant = timestamps.parse(row.sort_key)
    if instant is None:
        return Problem.MALFORMED_TIMESTAMP
    if not conversation.newest_key:
        return Problem.ROW_WITHOUT_CONVERSATION if row.text_hash not in _EMPTY or row.message_uuid else None
    shows_newest = row.text_hash == hash(conversation.newest_text) and row.message_uuid in (
        None,
        conversation.newest_uuid,
    )
    newest = timestamps.parse(conversation.newest_key)
    assert newest is not None
    return None if shows_newest and newest <= instant <= newest + timestamps.MAX_TIE_OFFSET else Problem.STALE_PREVIEW
