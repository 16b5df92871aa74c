"""Lambda entry of the seed, a custom resource that CloudFormation invokes directly."""

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

from cruddur_messages import log, schema
from cruddur_messages.lambda_context import LambdaContext
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.cloudformation import RESERVE_SECONDS, Response
from cruddur_messages.seed.file import LoadedConversation
from cruddur_messages.seed.load import MissingTableError, SeedLoader

CLIENT_CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
)

_dynamodb = boto3.client("dynamodb", config=CLIENT_CONFIG)


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Load, replace or remove the seed as the event requires, and respond to CloudFormation."""

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS

    properties = event["ResourceProperties"]
    own_id = f"cruddur-messages-seed/{properties.get('TableName')}"
    response = Response(
        event=event,
        # An id that differs from the last one makes CloudFormation delete the resource that had it.
        physical_resource_id=event["PhysicalResourceId"] if event["RequestType"] == "Delete" else own_id,
        ca_bundle=os.environ.get("AWS_CA_BUNDLE") or None,
    )
    table_name = os.environ[schema.TABLE_NAME_VARIABLE]
    seed = SeedLoader(client=_dynamodb, table_name=table_name, has_time=lambda: seconds_left() > 0)
    with response.for_work(seconds=seconds_left(), progress=lambda: str(seed.progress)):
        log.emit("seed_done", request_type=event["RequestType"], **_act(event, seed))


def _act(event: Mapping[str, Any], seed: SeedLoader) -> Counter[str]:
    if event["RequestType"] != "Delete":
        return seed.replace(_loaded(event.get("OldResourceProperties", {}), seed), seed_file.load())
    try:
        return seed.remove(_loaded(event["ResourceProperties"], seed))
    except MissingTableError:
        log.emit("seed_already_gone", reason="there is no table")
        return Counter()


def _loaded(properties: Mapping[str, Any], seed: SeedLoader) -> list[LoadedConversation]:
    """The conversations that were loaded with the properties; none if that was into another table."""
    if properties.get("TableName") != seed.table_name:
        return []
    return [LoadedConversation.from_property(entry) for entry in properties["Conversations"]]
