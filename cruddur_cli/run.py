"""What every command begins with: where it acts, and what it says about it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import typer

from cruddur_cli import people, target
from cruddur_cli.capacity import CapacityMeter
from cruddur_cli.console import Output
from cruddur_cli.errors import DdbError
from cruddur_cli.people import People
from cruddur_messages.store import MessageStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Prod = Annotated[bool, typer.Option("--prod", help="Act on AWS, not on this machine.")]
TableName = Annotated[str | None, typer.Option("--table", metavar="NAME", help="The table, if not the usual one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Capacity = Annotated[bool, typer.Option("--capacity", help="Print the capacity units consumed.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
UnitsPerSecond = Annotated[
    float | None,
    typer.Option("--units-per-second", metavar="N", min=1, help="Consume no more units, read and write, than this."),
]


@dataclass
class Run:
    """One run of a command against a table."""

    target: target.Target
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

    def require_table(self) -> None:
        """Raise ClientError where there is no table, and what botocore raises where nothing answers."""
        self.item_count()

    def item_count(self) -> int:
        """About how many items the table has. Raises ClientError where there is no table."""
        return self.client.describe_table(TableName=self.target.table_name)["Table"].get("ItemCount", 0)


@contextmanager
def run(
    *,
    prod: bool,
    table_name: str | None,
    as_json: bool = False,
    capacity: bool = False,
    units_per_second: float | None = None,
) -> Iterator[Run]:
    """A run of a command; at its end, what it has consumed is told if asked for. Raises DdbError."""
    started = Run(
        target=target.resolve(prod=prod, table_name=table_name),
        output=Output(as_json=as_json),
        meter=CapacityMeter(units_per_second),
    )
    try:
        yield started
    finally:
        if capacity:
            started.output.note(f"consumed: {started.meter}")
