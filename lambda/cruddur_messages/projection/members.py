"""Who is seen in a conversation, and whether that can be everyone. Pure: no input, no output.

The index may lag, and a row that has just been moved may be missing from it altogether. The rows themselves tell
how many there must be (docs/decisions/0004): those that the projection has counted carry a member count, and those
that it has not yet touched name another person.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cruddur_messages.items import GroupRow, Message
from cruddur_messages.projection.records import DirtyConversation

LOOKS = 6
"""How often the index is read for a row that may not exist, over at least 0.7 seconds, before it is taken not to."""


@dataclass(frozen=True)
class Members:
    """The members seen, those of them who have been counted, and what the rows say of others.

    `expected` is the highest member count among the rows, 0 where none carries one. `named_only` are users whom
    the row of an uncounted member names as the other person, and who have no row here; `is_anybody_unnamed` tells
    that such a row names nobody else.
    """

    seen: frozenset[str]
    counted: frozenset[str]
    expected: int
    named_only: frozenset[str]
    is_anybody_unnamed: bool

    @classmethod
    def of(cls, rows: Collection[GroupRow]) -> "Members":
        """Read the members off a conversation's rows."""
        seen = frozenset(row.member_uuid for row in rows)
        counted = frozenset(row.member_uuid for row in rows if row.member_count is not None)
        uncounted = [row for row in rows if row.member_uuid not in counted]
        named = frozenset(row.other_uuid for row in uncounted if row.other_uuid)
        return cls(
            seen,
            counted,
            expected=max((row.member_count or 0 for row in rows), default=0),
            named_only=named - seen,
            is_anybody_unnamed=any(row.other_uuid in ("", row.member_uuid) for row in uncounted),
        )

    def missing(self, required: Collection[str]) -> str | None:
        """Why somebody must be missing, given users who are known to be members; None where nobody must be."""
        if not self.seen:
            return "no member row is to be seen"
        if len(self.seen) < self.expected:
            return f"{len(self.seen)} of {self.expected} member rows are to be seen"
        if unseen := len(frozenset(required) - self.seen):
            return f"{unseen} known members have no row to be seen"
        return None

    @property
    def possibly_missing(self) -> str | None:
        """Why somebody may be missing; None where nothing speaks for it."""
        if len(self.counted) < self.expected:
            return f"{len(self.counted)} of {self.expected} counted member rows are to be seen"
        if self.named_only:
            return "a person whom a row names has no row to be seen"
        if self.is_anybody_unnamed:
            return "a row names nobody else"
        return None


class View:
    """What a settlement knows of a conversation's rows, beside what the index shows.

    Rows known from the stream stand in for those that the index does not show yet. Rows that DynamoDB has
    contradicted are left out from then on, however long the index goes on showing them. Whoever the index has shown
    once, in whatever row, is a member.
    """

    def __init__(self, conversation: DirtyConversation) -> None:
        self.message_group_uuid = conversation.message_group_uuid
        self._new_rows = tuple(conversation.new_rows.values())
        self._new_members = frozenset(row.member_uuid for row in self._new_rows)
        self._shown: set[str] = set()
        self._contradicted: list[GroupRow] = []
        self._looks = 0

    def rows_given(self, in_index: Collection[GroupRow]) -> list[GroupRow]:
        """The rows as they probably are."""
        self._shown.update(row.member_uuid for row in in_index)
        probable = (row for row in (*self._new_rows, *in_index) if row not in self._contradicted)
        return list({row.key: row for row in probable}.values())

    def contradict(self, rows: Iterable[GroupRow]) -> None:
        """Note that these rows are not in the table, or not like this."""
        self._contradicted += rows

    def obstacle_given(self, rows: Collection[GroupRow], newest: Message | None) -> str | None:
        """Why these rows cannot be those of all members; None where they can.

        A person whom only a row names is taken to have no row, a member who has been counted to be one whose row a
        backend has put anew, and a conversation without a message to have no row at all, when none turns up for a
        while.
        """
        if not rows and not self._shown and newest is None:
            return self._unless_sought_for_long("no row and no message are to be seen")
        members = Members.of(rows)
        missing = members.missing(self._new_members | self._shown)
        if missing is None and (obstacle := members.possibly_missing):
            return self._unless_sought_for_long(obstacle)
        return missing

    def _unless_sought_for_long(self, obstacle: str) -> str | None:
        self._looks += 1
        return obstacle if self._looks < LOOKS else None
