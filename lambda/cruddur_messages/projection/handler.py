"""Lambda entry of the projection: parses the event and the environment, calls the library, maps the result."""

import os
import time
from collections.abc import Mapping

import boto3
from botocore.config import Config

from cruddur_messages import log, schema
from cruddur_messages.lambda_context import LambdaContext
from cruddur_messages.projection.batch import StreamResponse, handle_batch
from cruddur_messages.projection.settlement import SIDE_BY_SIDE, Limits, Projection

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
"""The time that a call by hand has, where no Lambda context tells it."""

_client = boto3.client("dynamodb", config=CLIENT_CONFIG)


def handler(event: Mapping[str, object], context: LambdaContext | None = None) -> StreamResponse:
    """Settle every conversation that the batch concerns; report the records of those that could not be."""
    available = context.get_remaining_time_in_millis() / 1000 if context else SECONDS_WITHOUT_CONTEXT
    deadline = time.monotonic() + available
    projection = Projection(
        client=_client,
        table_name=os.environ[schema.TABLE_NAME_VARIABLE],
        seconds_left=lambda: deadline - time.monotonic(),
        limits=Limits(reserve_seconds=reserve_of(available)),
    )
    return handle_batch(event, settle_all=projection.settle_all, emit=log.emit, clock=time.time)


def reserve_of(available: float) -> float:
    """How many of the available seconds are left for the call that is under way, and for the response."""
    return min(LONGEST_CALL_SECONDS + SECONDS_TO_RESPOND, available / 2)
