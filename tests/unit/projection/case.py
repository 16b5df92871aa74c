"""A table in memory and the projection on it, so that a unit test can describe a case in two lines."""

import itertools
import json
from collections.abc import Callable
from typing import Any, cast

from botocore.exceptions import ClientError

from cruddur_messages.projection.batch import handle_batch
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Settlement
from cruddur_messages.projection.settler import Settler
from tests.projection.memory_engine import Item, MemoryEngine

GROUP = "g"
BEFORE = "2026-01-01T00:00:00.000000+00:00"
SENT = "2026-01-02T03:04:05.678901+00:00"
DAYS = [f"2026-01-{day:02}T00:00:00.000000+00:00" for day in range(2, 6)]
_numbers = itertools.count(1)


class Case:
    """A table, the calls that were made to it, and the lines that were logged.

    A `refusal` is the error code of every write; `meanwhile` has functions that run before the next call of that
    name, and `limits` further arguments of Settler.
    """

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.calls: list[str] = []
        self.lines: list[dict[str, Any]] = []
        self.refusal: str | None = None
        self.limits: dict[str, Any] = {}
        self.meanwhile: dict[str, Callable[[], object]] = {}

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self.engine, operation)

        def counted(**arguments: Any) -> Any:
            self.calls.append("query index" if "IndexName" in arguments else operation)
            self.meanwhile.pop(operation, lambda: None)()
            if self.refusal and operation in ("transact_write_items", "update_item"):
                raise ClientError({"Error": {"Code": self.refusal, "Message": ""}}, operation)
            return call(**arguments)

        return counted

    def put(self, *items: Item) -> list[dict[str, Any]]:
        """Put items; returns their records."""
        for item in items:
            self.engine.put_item(Item=item)
        return [record(item) for item in items]

    def delete(self, *items: Item) -> list[dict[str, Any]]:
        """Delete items; returns their records."""
        for item in items:
            self.engine.delete_item(Key={name: item[name] for name in ("pk", "sk")})
        return [record(item, "REMOVE") for item in items]

    def projection(self) -> Settler:
        """The projection on this table; its pauses take no time."""
        return Settler(
            client=cast("Any", self),
            table_name="t",
            seconds_left=lambda: 60.0,
            sleep=lambda _seconds: None,
            **self.limits,
        )

    def settle(self, group: str = GROUP, **more: Any) -> Settlement:
        """Settle a conversation, as a new message would."""
        return self.projection().settle(DirtyConversation(group, **more))

    def handle(self, records: list[Any]) -> list[str]:
        """Handle a batch; returns the sequence numbers that are reported."""

        def emit(event: str, **fields: object) -> None:
            self.lines.append(json.loads(json.dumps({"event": event, **fields})))

        response = handle_batch(
            {"Records": records}, settle_all=self.projection().settle_all, emit=emit, clock=lambda: 100.0
        )
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]

    def rows(self) -> dict[str, Item]:
        """Each member's row; a member has no more than one."""
        rows = [item for (partition, _), item in self.engine.items.items() if partition.startswith("GRP#")]
        by_member = {item["pk"]["S"].removeprefix("GRP#"): item for item in rows}
        assert len(by_member) == len(rows)
        return by_member

    def shown(self) -> dict[str, str]:
        return {member: str(row["message"]["S"]) for member, row in self.rows().items()}

    def conversation(self, group: str = GROUP) -> Item:
        return self.engine.items[f"CONV#{group}", "CONV"]


def strings(**values: str) -> Item:
    return {name: {"S": value} for name, value in values.items()}


def row(member: str, other: str = "", sort_key: str = BEFORE, group: str = GROUP, **more: Any) -> Item:
    """A group row as a backend puts it."""
    return {
        **strings(pk=f"GRP#{member}", sk=sort_key, message_group_uuid=group, message="old", user_uuid=other),
        **more,
    }


def message(sort_key: str = SENT, text: str = "new", group: str = GROUP) -> Item:
    return strings(pk=f"MSG#{group}", sk=sort_key, message=text, message_uuid=f"m-{sort_key}", user_uuid="a")


def record(item: Item, event_name: str = "INSERT") -> dict[str, Any]:
    """The stream record of a change of an item."""
    keys = {name: item[name] for name in ("pk", "sk") if name in item}
    image = {} if event_name == "REMOVE" else {"NewImage": item}
    return {
        "eventName": event_name,
        "dynamodb": {"Keys": keys, "SequenceNumber": str(next(_numbers)), **image},
    }


def number_of(one: dict[str, Any]) -> str:
    return str(one["dynamodb"]["SequenceNumber"])
