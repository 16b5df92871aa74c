"""A group for tests, and what people do with it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cruddur_cli.maintenance.verify import verify
from cruddur_messages import schema
from cruddur_messages.audit.checks import Problem
from cruddur_messages.items import User, key_attributes
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settler import Settler
from cruddur_messages.store import MessageStore, errors
from tests.access_patterns.people import person, rows_of, store_of, ticking
from tests.engines.fixtures import CruddurTable


@dataclass
class Group:
    """A settled group of ann, bo and cy, who wrote the newest message of two; dan is not in it."""

    table: CruddurTable
    size: int = 3
    clock: Callable[[], Any] = field(default_factory=ticking)

    def __post_init__(self) -> None:
        self.ann, self.bo, self.cy, self.dan = self.people = [person(name) for name in ("ann", "bo", "cy", "dan")]
        members = self.people[: self.size]
        started = self.store().start_conversation(members, sender=members[-1], message="hello")
        self.uuid = started.message_group_uuid
        self.first = started.message
        self.newest = self.store().send(self.uuid, sender=members[-1], message="hello again")
        self.settle()

    def store(self, client: Any = None) -> MessageStore:
        return store_of(self.table, client=client, clock=self.clock)

    def settle(self) -> None:
        """Settle it as for a record of each row that no settlement has written."""
        rows = [row for user in self.people for row in rows_of(self.table, user)]
        put = {row.key for row in rows if row.message_group_uuid == self.uuid and "message_uuid" not in row.attributes}
        projection = Settler(client=self.table.client, table_name=self.table.name, seconds_left=lambda: 60)
        dirty = DirtyConversation(self.uuid, put_keys=put, must_read_rows=True)
        assert projection.settle(dirty).failure is None

    def members(self) -> set[str]:
        """Who is in, after a settlement that leaves nothing for verify to find."""
        self.settle()
        assert findings_of(self.table) == []
        inside = {user.handle for user in self.people if rows_of(self.table, user)}
        for user in self.people:
            with suppress(errors.NotAMemberError):
                self.store().require_member(self.uuid, user.uuid)
                assert user.handle in inside
        return inside

    def item_of(self, user: User) -> Any:
        key = key_attributes((schema.member_partition(user.uuid), self.uuid))
        return self.table.client.get_item(TableName=self.table.name, Key=key).get("Item", {})

    def leave(self, client: Any = None) -> None:
        self.store(client).leave(self.uuid, self.bo.uuid)

    def add_again(self, client: Any = None) -> None:
        self.store(client).add_member(self.uuid, self.bo, asked_by=self.ann.uuid)

    def add(self, client: Any = None) -> None:
        self.store(client).add_member(self.uuid, self.dan, asked_by=self.ann.uuid)

    def edit(self, client: Any = None) -> None:
        self.store(client).edit(
            self.uuid,
            self.newest.sort_key,
            message_uuid=self.newest.message_uuid,
            editor=self.cy.uuid,
            message="edited",
        )

    def delete(self, client: Any = None) -> None:
        self.store(client).delete(
            self.uuid, self.newest.sort_key, message_uuid=self.newest.message_uuid, by=self.cy.uuid
        )

    def move(self, client: Any = None) -> None:
        self.store(client).send(self.uuid, sender=self.ann, message="newer")
        self.settle()

    def read(self, client: Any = None) -> None:
        self.store(client).mark_read(self.uuid, self.bo.uuid, up_to=self.newest.sort_key)

    def read_one(self, client: Any = None) -> None:
        self.store(client).mark_read(self.uuid, self.bo.uuid, up_to=self.first.sort_key)


def findings_of(table: CruddurTable) -> list[Problem]:
    return [finding.problem for finding in verify(table.client, table.name, sleep=lambda _: None).findings]


Action = Callable[[Group, Any], object]

WITHOUT_BO, EVERYBODY = {"ann", "cy"}, {"ann", "bo", "cy"}
