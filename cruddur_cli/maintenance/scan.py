"""A parallel scan of a whole table."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import TYPE_CHECKING, Any

from cruddur_messages.items import AttributeMap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SEGMENTS = max(4, min(16, 2 * (os.cpu_count() or 2)))
"""The number of parallel workers."""

Receive = Callable[[Sequence[AttributeMap]], None]


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
    stopped = Event()
    arguments: dict[str, Any] = {"TableName": table_name, "TotalSegments": segments}
    if attributes:
        names = {f"#{number}": name for number, name in enumerate(attributes)}
        arguments |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}

    def read(segment: int) -> None:
        paging: dict[str, Any] = {}
        while not stopped.is_set():
            page = client.scan(**arguments, Segment=segment, **paging)
            receive(page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            paging = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    with ThreadPoolExecutor(segments) as pool:
        try:
            readers = [pool.submit(read, segment) for segment in range(segments)]
            wait(readers, return_when=FIRST_EXCEPTION)
        finally:
            stopped.set()
    for reader in readers:
        reader.result()
