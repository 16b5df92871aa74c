"""Who is seen in a conversation, and whether that can be everyone. Pure: no input, no output.

The index may lag, and a row that has just been moved may be missing from it altogether. The rows themselves tell
how many there must be (docs/decisions/0004): those that the projection has counted carry a member count, and those
that it has not yet touched name another person.
"""

from collections.abc import Collection
from dataclasses import dataclass

from cruddur_messages.items import GroupRow


@dataclass(frozen=True)
class Members:
    """The members seen, those of them who have been counted, and what the rows say of others.

    `expected` is the highest member count among the rows, 0 where none carries one. `named_only` are users whom
    the row of an uncounted member names as the other person, and who have no row here.
    """

    seen: frozenset[str]
    counted: frozenset[str]
    expected: int
    named_only: frozenset[str]

    @classmethod
    def of(cls, rows: Collection[GroupRow]) -> "Members":
        """Read the members off a conversation's rows."""
        seen = frozenset(row.member_uuid for row in rows)
        counted = frozenset(row.member_uuid for row in rows if row.member_count is not None)
        named = frozenset(row.other_uuid for row in rows if row.member_uuid not in counted and row.other_uuid)
        return cls(seen, counted, max((row.member_count or 0 for row in rows), default=0), named - seen)

    def missing(self, required: Collection[str]) -> str | None:
        """Why somebody must be missing, given users who are known to be members; None where nobody must be."""
        if not self.seen:
            return "no member row is to be seen"
        if len(self.counted) < self.expected:
            return f"{len(self.counted)} of {self.expected} member rows are to be seen"
        if unseen := len(frozenset(required) - self.seen):
            return f"{unseen} new member rows are not to be seen"
        return None
