"""The context of a command: its target, its output, and the capacity that it consumes."""

import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

import typer

from cruddur_cli import settlement, table_definition, target, users
from cruddur_cli.capacity import CapacityMeter
from cruddur_cli.console import Output
from cruddur_cli.conversation_names import ConversationNames
from cruddur_cli.errors import DdbError
from cruddur_cli.target import Target
from cruddur_cli.users import Users
from cruddur_messages.items import UUID, User
from cruddur_messages.seed.file import SeedFileError
from cruddur_messages.store import Conversation, MessageStore, Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Context(typer.Context):
    """One run of a command: typer's context, with what the shared options mean; commands/group.py declares them."""

    @cached_property
    def target(self) -> Target:
        """The table to act on. Raises DdbError."""
        argument, option = (self.params.get(name) for name in ("table_argument", "table"))
        if argument and option and argument != option:
            raise DdbError(f"two tables are named: {argument} and --table {option}")
        return target.resolve(prod=bool(self.params.get("prod")), table_name=argument or option)

    @cached_property
    def output(self) -> Output:
        """Where the command prints."""
        return Output(as_json=bool(self.params.get("as_json")))

    @cached_property
    def meter(self) -> CapacityMeter:
        """The capacity consumed so far, and its limit."""
        return CapacityMeter(self.params.get("units_per_second"))

    @cached_property
    def client(self) -> "DynamoDBClient":
        """The DynamoDB client, whose capacity is counted."""
        client = self.target.dynamodb()
        self.meter.attach(client)
        return client

    @cached_property
    def store(self) -> MessageStore:
        """The access patterns of the table."""
        return MessageStore(client=self.client, table_name=self.target.table_name)

    @cached_property
    def users(self) -> Users:
        """The users of the app, or of the seed: on the system of `make up`, of the users file that it was made with."""
        return users.open_users(self.target.system.get("users_file"))

    @cached_property
    def conversations(self) -> ConversationNames:
        """The lookup of conversations by name."""
        return ConversationNames(
            client=self.client, table_name=self.target.table_name, store=self.store, users=self.users
        )

    def user(self, name: str | None) -> User:
        """The user of a handle or an id; the first user if none is named. Raises DdbError.

        Somebody with an inbox may be named by id, whatever users there are.
        """
        if name is None:
            return users.first(self.users)
        try:
            return users.resolve(self.users, name)
        except DdbError:
            member = self.conversations.member(name.lower()) if UUID.fullmatch(name) else None
            if member is None:
                raise
            return member

    def named_user(self, name: str | None) -> User:
        """A user to be named in what is written. Raises DdbError if there is none, or if nothing names them."""
        user = self.user(name)
        if user.handle == user.uuid:
            raise DdbError(f"user {user.uuid} has no name in {self.users.name} or in the table: add one there first")
        return user

    def names(self, reader: User, page: Page[Conversation]) -> list[list[str]]:
        """The handles of the others in each conversation of a person's page."""
        return self.conversations.others(reader.uuid, [line.message_group_uuid for line in page.items])

    def handles(self, user_uuids: Collection[str]) -> dict[str, str]:
        """The handle of each user if the users are available and have one, else the id."""
        handles = {user_uuid: user_uuid for user_uuid in user_uuids}
        with suppress(DdbError, SeedFileError):
            handles |= {user.uuid: user.handle for user in self.users.by_uuids(user_uuids)}
        return handles

    def require_table(self) -> None:
        """Raise DdbError unless the table has this project's keys and index; ClientError if there is none."""
        table_definition.require_layout(self.client.describe_table(TableName=self.target.table_name)["Table"])

    def confirm(
        self,
        *,
        yes: bool,
        what: str = "the table's name",
        name: str | None = None,
        otherwise: str = "nothing was done",
    ) -> None:
        """Ask for the table's name, or for another one, unless `yes`.

        Raises DdbError, which says what is so `otherwise`, if something else is typed.
        """
        if yes:
            return
        name = name or self.target.table_name
        self.output.note(f"Type {what} to continue ({name}):")
        typed = sys.stdin.readline().strip()
        if typed != name:
            raise DdbError(f"not confirmed: {typed!r} is not {name}, {otherwise}; --yes skips the question")

    def require_own_table(self) -> None:
        """Raise DdbError if the table belongs to the stacks of `make up`, which would not use a new one."""
        if self.target.has_projection and not self.target.is_aws:
            raise DdbError(
                f"{self.target} belongs to make up's stacks, and nothing would read the stream of another: "
                "make down removes it, make up creates it again"
            )

    def require_no_table(self) -> None:
        """Raise DdbError if the table exists."""
        with suppress(self.client.exceptions.ResourceNotFoundException):
            status = self.client.describe_table(TableName=self.target.table_name)["Table"]["TableStatus"]
            raise DdbError(f"{self.target} already exists and is {status}: see bin/ddb describe")

    def item_count(self) -> int:
        """The approximate number of items in the table.

        Raises ClientError if there is no table, and botocore's errors if nothing responds.
        """
        return self.client.describe_table(TableName=self.target.table_name)["Table"].get("ItemCount", 0)

    def settle_where_no_lambda_does(self, message_group_uuids: Iterable[str]) -> None:
        """Settle conversations on an engine without a deployed projection, and note those that could not be settled."""
        if self.target.has_projection:
            return
        failures = settlement.settle(self.client, self.target.table_name, message_group_uuids)
        for message_group_uuid, failure in failures.items():
            self.output.note(f"conversation {message_group_uuid} is not settled: {failure}")
