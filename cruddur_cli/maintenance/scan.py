"""A parallel scan of a whole table."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from cruddur_messages.items import AttributeMap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SEGMENTS = max(4, min(16, 2 * (os.cpu_count() or 2)))
"""The number of parallel workers."""

Task = TypeVar("Task")
Done = TypeVar("Done")
Receive = Callable[[Sequence[AttributeMap]], None]
Place = Mapping[str, Any]
"""A key: what follows it is read."""


def scan(
    client: "DynamoDBClient",
    table_name: str,
    receive: Receive,
    *,
    segments: int = SEGMENTS,
    attributes: Sequence[str] = (),
) -> None:
    """Pass every page of the table to `receive`, which is called from several threads.

    With `attributes`, items have these only. Items that move meanwhile may come twice or not at all. An error or an
    interrupt stops all workers after their current page. Raises what the client and `receive` raise.
    """

    def read(segment: int, stopped: Event) -> None:
        for items, _ in pages(client, table_name, segment, segments, attributes=attributes):
            receive(items)
            if stopped.is_set():
                return

    in_parallel(read, range(segments))


def pages(
    client: "DynamoDBClient",
    table_name: str,
    segment: int,
    segments: int,
    *,
    attributes: Sequence[str] = (),
    start: Place | None = None,
) -> Iterator[tuple[Sequence[AttributeMap], Place | None]]:
    """The pages of one segment, and where each ends; None after the last."""
    arguments: dict[str, Any] = {"TableName": table_name, "TotalSegments": segments, "Segment": segment}
    if attributes:
        names = {f"#{number}": name for number, name in enumerate(attributes)}
        arguments |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
    while True:
        if start:
            arguments["ExclusiveStartKey"] = start
        page = client.scan(**arguments)
        start = page.get("LastEvaluatedKey")
        yield page["Items"], start
        if start is None:
            return


def in_parallel(
    work: Callable[[Task, Event], Done], tasks: Sequence[Task], *, threads: int | None = None
) -> list[Done]:
    """Call `work` for each task, all at the same time or with fewer threads; returns the results in their order.

    An error or an interrupt sets the event, waits for those in progress, and begins no more.
    """
    stopped = Event()
    with ThreadPoolExecutor(threads or max(len(tasks), 1)) as pool:
        calls = [pool.submit(work, task, stopped) for task in tasks]
        try:
            wait(calls, return_when=FIRST_EXCEPTION)
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
    return [call.result() for call in calls]
