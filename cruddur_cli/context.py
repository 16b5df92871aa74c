"""What every command works with: where it acts, where it prints, and what it has consumed."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cruddur_cli import people, settlement
from cruddur_cli.capacity import CapacityMeter
from cruddur_cli.console import Output
from cruddur_cli.errors import DdbError
from cruddur_cli.people import People
from cruddur_cli.target import Target
from cruddur_messages.store import MessageStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass
class Context:
    """One run of a command against a table."""

    target: Target
    output: Output
    meter: CapacityMeter

    @cached_property
    def client(self) -> "DynamoDBClient":
        """The DynamoDB client, metered."""
        client = self.target.dynamodb()
        self.meter.attach(client)
        return client

    @cached_property
    def store(self) -> MessageStore:
        """The access patterns of the table."""
        return MessageStore(client=self.client, table_name=self.target.table_name)

    @cached_property
    def people(self) -> People:
        """Who is who."""
        return people.people()

    def announce_write(self, what: str) -> None:
        """Say what is about to be written, and where."""
        self.output.note(f"{what} {self.target}")

    def confirm(self, *, yes: bool) -> None:
        """Have the table's name typed, unless `yes`. Raises DdbError where it is not."""
        if yes:
            return
        name = self.target.table_name
        self.output.note(f"Type the table's name to go on ({name}):")
        typed = sys.stdin.readline().strip()
        if typed != name:
            raise DdbError(f"not confirmed: {typed!r} is not {name}, nothing was done; --yes goes on without asking")

    def require_own_table(self) -> None:
        """Raise DdbError where the table belongs to the stacks of `make up`, which would not notice another one."""
        if self.target.has_projection and not self.target.is_aws:
            raise DdbError(
                f"{self.target} belongs to make up's stacks, and nothing would read the stream of another: "
                "make down takes it away, make up makes it anew"
            )

    def item_count(self) -> int:
        """About how many items the table has.

        Raises ClientError where there is no table, and what botocore raises where nothing responds.
        """
        return self.client.describe_table(TableName=self.target.table_name)["Table"].get("ItemCount", 0)

    def settle_where_no_lambda_does(self, message_group_uuids: Iterable[str]) -> None:
        """Settle conversations on an engine without a deployed projection, and say of those that could not be."""
        if self.target.has_projection:
            return
        failures = settlement.settle(self.client, self.target.table_name, message_group_uuids)
        for message_group_uuid, failure in failures.items():
            self.output.note(f"conversation {message_group_uuid} is not settled: {failure}")
