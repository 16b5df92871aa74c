"""The promises of a table, and the checks for broken ones. Pure: snapshots in, findings out."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, Self

from cruddur_messages import schema, timestamps
from cruddur_messages.audit.forms import MIXED
from cruddur_messages.audit.snapshot import (
    ConversationSnapshot,
    InboxSnapshot,
    Listed,
    RowSnapshot,
    TableSnapshot,
    digest,
)
from cruddur_messages.conversation_item import ConversationItem, fingerprint
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, UUID, Message
from cruddur_messages.timestamps import MAX_TIE_OFFSET


class Problem(StrEnum):
    """The kinds of broken promises."""

    DUPLICATE_ROW = "duplicate row"
    MISSING_ROW = "missing row"
    ROW_AFTER_LEAVING = "row after leaving"
    UNMARKED_GROUP = "unmarked group"
    STALE_PREVIEW = "stale preview"
    ROW_WITHOUT_CONVERSATION = "row without a conversation"
    WRONG_CONVERSATION_ITEM = "wrong conversation item"
    MALFORMED_TIMESTAMP = "malformed timestamp"
    MIXED_TIMESTAMPS = "mixed timestamps"
    MALFORMED_ITEM = "malformed item"


MEANINGS: Mapping[Problem, str] = {
    Problem.DUPLICATE_ROW: "a member has more than one group row of the conversation",
    Problem.MISSING_ROW: "a member (by messages, start, rows or conversation item) has no group row",
    Problem.ROW_AFTER_LEAVING: "the member item says that its owner has left: settled by add-member or leave",
    Problem.UNMARKED_GROUP: "the row is not marked as one of three or more, as older rows of idle groups are not",
    Problem.STALE_PREVIEW: "text, id or time of the row are not those of the newest message",
    Problem.ROW_WITHOUT_CONVERSATION: "the row shows a message, and the conversation has none",
    Problem.WRONG_CONVERSATION_ITEM: "it differs from the rows and what they show, or a settlement is unfinished",
    Problem.MALFORMED_TIMESTAMP: "the sort key is not an ISO 8601 timestamp",
    Problem.MIXED_TIMESTAMPS: "timestamps are written in several forms, so text order is not time order",
    Problem.MALFORMED_ITEM: "an attribute is missing or has another type, or the key names no conversation or member",
}


class Finding(NamedTuple):
    """One broken promise, without message text and names.

    `member_uuid` is empty if it is about a message. `sort_key` is empty if it is about a whole conversation or inbox,
    or about more items than are listed. `message_group_uuid` is empty if the item names none.
    """

    problem: Problem
    message_group_uuid: str
    member_uuid: str
    sort_key: str

    @property
    def is_of_inbox(self) -> bool:
        """Whether an inbox has to be read to see it, not a conversation."""
        return not self.message_group_uuid or (self.problem is Problem.MIXED_TIMESTAMPS and bool(self.member_uuid))

    def to_json(self, *, confirmed: bool) -> str:
        """The line of a file of findings. `confirmed`: it was still there when the table was read again."""
        return json.dumps({**self._asdict(), "confirmed": confirmed})

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read a line of a file of findings. Raises ValueError if it is not one."""
        values = json.loads(line)
        if not isinstance(values, dict) or not all(isinstance(values.get(name), str) for name in cls._fields):
            raise ValueError("not a finding")
        return cls(Problem(values["problem"]), *(values[name] for name in cls._fields[1:]))


def check_table(table: TableSnapshot) -> Iterator[Finding]:
    """Every broken promise of a table, conversation by conversation, then inbox by inbox."""
    for message_group_uuid, conversation in table.conversations.items():
        yield from check_conversation(message_group_uuid, conversation)
    for member_uuid, inbox in table.inboxes.items():
        yield from check_inbox(member_uuid, inbox)


def check_inbox(member_uuid: str, inbox: InboxSnapshot) -> Iterator[Finding]:
    """The broken promises of one inbox as a whole."""
    for sort_key in _listed(inbox.malformed):
        yield Finding(Problem.MALFORMED_ITEM, "", member_uuid, sort_key)
    if inbox.form == MIXED:
        for message_group_uuid, sort_key in inbox.not_in_utc:
            yield Finding(Problem.MIXED_TIMESTAMPS, message_group_uuid, member_uuid, sort_key)


def check_conversation(message_group_uuid: str, conversation: ConversationSnapshot) -> Iterator[Finding]:
    """The broken promises of one conversation; none of one that does not exist."""
    if not conversation.exists:
        return
    if not UUID.fullmatch(message_group_uuid):
        yield Finding(Problem.MALFORMED_ITEM, message_group_uuid, "", "")
        return
    for sort_key in _listed(conversation.malformed_keys):
        yield Finding(Problem.MALFORMED_TIMESTAMP, message_group_uuid, "", sort_key)
    for sort_key in _listed(conversation.malformed_items):
        yield Finding(Problem.MALFORMED_ITEM, message_group_uuid, "", sort_key)
    if conversation.form == MIXED:
        yield Finding(Problem.MIXED_TIMESTAMPS, message_group_uuid, "", "")
    rows_of = Counter(row.member_uuid for row in conversation.rows)
    for member_uuid in sorted(conversation.members - rows_of.keys()):
        yield Finding(Problem.MISSING_ROW, message_group_uuid, member_uuid, "")
    if conversation.item is not None and not _agrees(conversation.item, conversation):
        yield Finding(Problem.WRONG_CONVERSATION_ITEM, message_group_uuid, "", "")
    is_group = len(rows_of) > 2 or any(row.is_group for row in conversation.rows)
    newest_digest = digest(conversation.newest[2])
    for row in conversation.rows:
        if rows_of[row.member_uuid] > 1:
            yield Finding(Problem.DUPLICATE_ROW, message_group_uuid, row.member_uuid, row.sort_key)
        if row.member_uuid in conversation.left:
            yield Finding(Problem.ROW_AFTER_LEAVING, message_group_uuid, row.member_uuid, row.sort_key)
        if is_group and not row.is_group:
            yield Finding(Problem.UNMARKED_GROUP, message_group_uuid, row.member_uuid, row.sort_key)
        if problem := _problem_of_preview(row, conversation, newest_digest):
            yield Finding(problem, message_group_uuid, row.member_uuid, row.sort_key)


def _listed(malformed: Listed | None) -> Iterator[str]:
    """The sort keys that are listed, and an empty one if there are more."""
    if malformed is not None:
        yield from malformed.texts
        if malformed.count > len(malformed.texts):
            yield ""


def _agrees(item: ConversationItem, conversation: ConversationSnapshot) -> bool:
    """Whether the conversation item says where the rows are, and that they show the newest message.

    Whoever left may still be in it: the next settlement drops them.
    """
    rows = {(row.member_uuid, row.sort_key) for row in conversation.rows if row.member_uuid not in conversation.left}
    listed = {(member, sort_key) for member, sort_key in item.rows.items() if member not in conversation.left}
    return listed == rows and item.shown == fingerprint(_newest(conversation))


def _newest(conversation: ConversationSnapshot) -> Message | None:
    sort_key, message_uuid, text = conversation.newest
    if not sort_key:
        return None
    return Message.from_attributes(
        {
            schema.PARTITION_KEY: {"S": ""},
            schema.SORT_KEY: {"S": sort_key},
            MESSAGE_UUID: {"S": message_uuid},
            MESSAGE: {"S": text},
        }
    )


_EMPTY = frozenset({digest(""), None})


def _problem_of_preview(
    row: RowSnapshot, conversation: ConversationSnapshot, newest_digest: bytes | None
) -> Problem | None:
    newest_key, newest_uuid, _ = conversation.newest
    shows_text = row.text_digest == newest_digest
    if row.sort_key == newest_key and shows_text and row.message_uuid == newest_uuid:
        return None
    instant = timestamps.parse(row.sort_key)
    if instant is None:
        return Problem.MALFORMED_TIMESTAMP
    if not newest_key:
        return Problem.ROW_WITHOUT_CONVERSATION if row.text_digest not in _EMPTY or row.message_uuid else None
    newest = timestamps.parse(newest_key)
    assert newest is not None
    is_newest = shows_text and row.message_uuid in (None, newest_uuid) and newest <= instant <= newest + MAX_TIE_OFFSET
    return None if is_newest else Problem.STALE_PREVIEW
