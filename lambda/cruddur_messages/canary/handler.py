"""Lambda entry of the canary, which a schedule invokes: parses the environment and calls the library."""

import os
import time
from datetime import UTC, datetime
from functools import partial

import boto3
from botocore.config import Config

from cruddur_messages import log, schema
from cruddur_messages.canary import RESERVE_SECONDS
from cruddur_messages.canary.run import run
from cruddur_messages.lambda_context import LambdaContext

CLIENT_CONFIG = Config(connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})

_client = boto3.client("dynamodb", config=CLIENT_CONFIG)


def handler(_event: object, context: LambdaContext) -> None:
    """Send a message, and log whether it reached the inboxes. Raises what made the run fail."""
    run(
        client=_client,
        table_name=os.environ[schema.TABLE_NAME_VARIABLE],
        clock=partial(datetime.now, UTC),
        sleep=time.sleep,
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS,
        emit=log.emit,
    )
