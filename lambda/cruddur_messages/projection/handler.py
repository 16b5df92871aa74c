"""Lambda entry of the projection: parses the event and the environment, calls the library, maps the result."""

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from cruddur_messages import log, schema
from cruddur_messages.lambda_context import LambdaContext
from cruddur_messages.projection.batch import StreamResponse, handle_batch
from cruddur_messages.projection.settlement import SIDE_BY_SIDE, Limits, Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    tcp_keepalive=True,
    max_pool_connections=SIDE_BY_SIDE,
)
"""Sized for a stream handler: a call that hangs is over in seconds, and the projection itself tries again."""

LONGEST_CALL_SECONDS = 7.0
"""What one call usually takes at the most under CLIENT_CONFIG: two attempts and the pause between them.

A response that drips in can take longer: the timeout is that of each piece.
"""

SECONDS_TO_RESPOND = 1.0

SECONDS_WITHOUT_CONTEXT = 30.0
"""The time limit of a call by hand, which has no Lambda context."""

_client = boto3.client("dynamodb", config=CLIENT_CONFIG)


def handler(event: Mapping[str, object], context: LambdaContext | None = None) -> StreamResponse:
    """Settle every conversation that the batch concerns; report the records of those that could not be."""
    seconds = context.get_remaining_time_in_millis() / 1000 if context else SECONDS_WITHOUT_CONTEXT
    return respond(event, client=_client, table_name=os.environ[schema.TABLE_NAME_VARIABLE], seconds=seconds)


def respond(
    event: Mapping[str, object],
    *,
    client: "DynamoDBClient",
    table_name: str,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> StreamResponse:
    """What the handler does, on a table and in a time given."""
    deadline = time.monotonic() + seconds
    projection = Projection(
        client=client,
        table_name=table_name,
        seconds_left=lambda: deadline - time.monotonic(),
        limits=Limits(reserve_seconds=reserve_of(seconds)),
        sleep=sleep,
    )
    return handle_batch(event, settle_all=projection.settle_all, emit=log.emit, clock=time.time)


def reserve_of(seconds: float) -> float:
    """How many of the seconds are kept for the call that is under way, and for the response."""
    return min(LONGEST_CALL_SECONDS + SECONDS_TO_RESPOND, seconds / 2)
