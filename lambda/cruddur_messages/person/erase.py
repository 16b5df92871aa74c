"""The erasure of a person: what names them goes, and what others wrote stays.

In each conversation, in this order: the pair items; the own rows, in one transaction with a `left_at`, after which
nothing lets them in again; the rows of others, which then name another member or nobody; the messages; and a
settlement, after which the previews show what is left. Each write has a condition, and passes are repeated. So it ends
in the same state from any other: interrupted, twice at once, or while others write. A `left_at` under the person's id
remains in each conversation, by which a later run finds it again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from cruddur_messages import member_item, schema, timestamps
from cruddur_messages.dynamodb import delete_read, get_items, senders
from cruddur_messages.items import (
    ERASED,
    USER_UUID,
    AttributeMap,
    GroupRow,
    User,
    can_be_key,
    key_attributes,
    key_of,
    text_or_empty,
)
from cruddur_messages.person.passes import Pass, Track, until_nothing_changes
from cruddur_messages.person.refresh import rename
from cruddur_messages.person.traces import Person

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

MOST_DELETES = 9
"""Of one transaction: DynamoDB Local from npm refuses more than ten actions."""


@dataclass(frozen=True)
class _Found:
    """What a conversation holds of the person, but for their messages."""

    message_group_uuid: str
    own_rows: tuple[AttributeMap, ...]
    other_rows: tuple[GroupRow, ...]
    naming: tuple[GroupRow, ...]
    pair_items: tuple[AttributeMap, ...]
    member_item: AttributeMap

    @property
    def is_unmarked_group(self) -> bool:
        """Whether it would be taken for a conversation of two when the person's row is gone."""
        members = {row.member_uuid for row in self.other_rows}
        return len(members) > 1 and bool(self.own_rows) and not all(row.is_group for row in self.other_rows)


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """Erases one person.

    `settle` settles a conversation and returns why it could not, or None. `named` looks up a member by id, for rows of
    a group that named the person, where no row has the member's name.
    """

    person: Person
    settle: Callable[[str], str | None]
    named: Callable[[str], User | None]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep

    def preview(self, track: Track = iter) -> Counter[str]:
        """What the table holds of the person, in numbers."""
        groups = self.person.conversations()
        counts = Counter(conversations=len(groups), own_rows=len(self.person.inbox().get("", [])))
        pairs = set(map(key_of, self._pair_items(self.person.traces.partners)))
        for found in self._each(track, groups):
            counts["own_rows"] += len(found.own_rows)
            counts["rows_of_others"] += len(found.naming)
            counts["read_marks"] += schema.READ_UP_TO in found.member_item
            counts["messages"] += sum(1 for _ in self.person.messages(found.message_group_uuid))
            pairs.update(map(key_of, found.pair_items))
        return counts + Counter(pair_items=len(pairs))

    def run(self, track: Track = iter) -> Counter[str]:
        """Erase them; returns what was done. Raises StillChangingError if others write all the time."""
        return until_nothing_changes(lambda: self._pass(track), self.sleep)

    def _pass(self, track: Track) -> Pass:
        made = Pass()
        self._delete(made, "pair_items", self._pair_items(self.person.traces.partners))
        # Rows that name no conversation: nothing moves them.
        self._delete(made, "own_rows", self.person.inbox().get("", []))
        for found in self._each(track, self.person.conversations()):
            group = found.message_group_uuid
            if found.is_unmarked_group and (failure := self.settle(group)):
                made.failure = failure
                continue
            if not self._delete(made, "pair_items", found.pair_items):
                continue  # Without the rows, the next pass would not know whose pair item it is.
            self._leave(made, found)
            known = list(islice(self._known_members(found), 2)) if found.naming else []
            for row in found.naming:
                instead = next((user for user in known if user.uuid != row.member_uuid), ERASED)
                rename(made, self.person, row, instead)
            self._delete(made, "messages", self.person.messages(group), unchanged=USER_UUID)
            # Also if nothing was written: a run may have been killed before it came to this.
            made.failure = self.settle(group) or made.failure
        return made

    def _each(self, track: Track, groups: list[str]) -> Iterator[_Found]:
        inbox, member_items = self.person.inbox(), self.person.member_items()
        uuid = self.person.user_uuid
        for group in track(groups):
            rows = self.person.rows(group)
            own = {key_of(row): row for row in inbox.get(group, [])}
            own |= {row.key: row.attributes for row in rows if row.member_uuid == uuid}
            others = [row for row in rows if row.member_uuid != uuid]
            partners = {row.member_uuid for row in others} | {text_or_empty(row, USER_UUID) for row in own.values()}
            yield _Found(
                group,
                tuple(own.values()),
                tuple(others),
                tuple(row for row in others if row.other_uuid == uuid),
                tuple(self._pair_items(partners - {""})),
                member_items.get(group, {}),
            )

    def _pair_items(self, partners: Iterable[str]) -> Iterator[AttributeMap]:
        pairs = [schema.pair_partition(self.person.user_uuid, partner) for partner in sorted(partners)]
        keys = [key_attributes((pair, schema.PAIR_SORT_KEY)) for pair in pairs]
        return get_items(self.person.client.batch_get_item, self.person.table_name, keys)

    def _leave(self, made: Pass, found: _Found) -> None:
        item = found.member_item
        is_left = schema.LEFT_AT in item and not {schema.JOINED_AT, schema.READ_UP_TO} & item.keys()
        if is_left and not found.own_rows:
            return
        key = member_item.key(found.message_group_uuid, self.person.user_uuid)
        leave: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self.person.table_name,
                "Key": key,
                "UpdateExpression": f"SET {schema.LEFT_AT} = if_not_exists({schema.LEFT_AT}, :now) "
                f"REMOVE {schema.JOINED_AT}, {schema.READ_UP_TO}",
                "ExpressionAttributeValues": {":now": {"S": timestamps.canonical(self.clock())}},
            }
        }
        beside = [leave] if can_be_key(key) else []
        if found.own_rows:
            self._delete(made, "own_rows", found.own_rows, unchanged=schema.INDEX_PARTITION_KEY, beside=beside)
        elif beside:
            made.write("left_at_marks", self.person.client.transact_write_items, TransactItems=[leave])

    def _delete(
        self,
        made: Pass,
        what: str,
        items: Iterable[AttributeMap],
        *,
        unchanged: str = schema.PARTITION_KEY,
        beside: "Sequence[TransactWriteItemTypeDef]" = (),
    ) -> bool:
        """Delete items in transactions, each if the attribute `unchanged` is as it was read, beside other actions.

        Returns whether all are deleted.
        """
        left, is_done = iter(items), True
        while some := list(islice(left, MOST_DELETES)):
            deletes = [delete_read(self.person.table_name, item, unchanged) for item in some]
            call = self.person.client.transact_write_items
            is_done &= made.write(what, call, number=len(some), TransactItems=[*beside, *deletes])
        return is_done

    def _known_members(self, found: _Found) -> Iterator[User]:
        """Other members with a row whose names are known: from the rows, from `named`, else from the messages."""
        members = {row.member_uuid for row in found.other_rows}
        if len(members) < 2:
            return  # The other of two has nobody else to name.
        rows = [*found.own_rows, *(row.attributes for row in found.other_rows)]
        names = {user.uuid: user for user in map(User.from_attributes, rows) if user.handle}
        for member in sorted(members):
            if user := names.get(member) or self.named(member):
                members.remove(member)
                yield user
        query, table_name = self.person.client.query, self.person.table_name
        for sender in senders(query, table_name, found.message_group_uuid) if members else ():
            if sender.uuid in members:
                members.remove(sender.uuid)
                yield sender
