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
from cruddur_messages.projection.settler import SIDE_BY_SIDE, Settler

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    tcp_keepalive=True,
    max_pool_connections=SIDE_BY_SIDE,
)
"""Short timeouts: a call that hangs ends in seconds, and the projection itself retries."""

LONGEST_CALL_SECONDS = 7.0
"""The usual maximum of one call with CLIENT_CONFIG: two attempts and the pause between them.

A slow response can take longer, because the timeout is per read of the socket.
"""

SECONDS_TO_RESPOND = 1.0

SECONDS_WITHOUT_CONTEXT = 30.0
"""The time limit of a call by hand, which has no Lambda context."""

_client = boto3.client("dynamodb", config=CLIENT_CONFIG)


def handler(event: Mapping[str, object], context: LambdaContext | None = None) -> StreamResponse:
    """Settle every conversation of the batch; report the records of those that could not be settled."""
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
    """Do the handler's work on this table within this time."""
    last_call = time.monotonic() + seconds - reserve_of(seconds)
    settler = Settler(
        client=client,
        table_name=table_name,
        seconds_left=lambda: last_call - time.monotonic(),
        sleep=sleep,
    )
    return handle_batch(event, settle_all=settler.settle_all, emit=log.emit, clock=time.time)


def reserve_of(seconds: float) -> float:
    """How many of the seconds are reserved for the current call and for the response."""
    return min(LONGEST_CALL_SECONDS + SECONDS_TO_RESPOND, seconds / 2)
