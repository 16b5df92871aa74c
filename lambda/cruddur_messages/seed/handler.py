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


class PropertyError(Exception):
    """A property of the resource does not fit this function; the text says which."""


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Load, replace or remove the seed as the event requires, and respond to CloudFormation."""

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    reserve = min(RESERVE_SECONDS, seconds_left() / 2)
    properties = event.get("ResourceProperties", {})
    own_id = f"cruddur-messages-seed/{properties.get('TableName')}"
    response = Response(
        event,
        # An id that differs from the last one makes CloudFormation delete the resource that had it.
        physical_resource_id=event["PhysicalResourceId"] if event["RequestType"] == "Delete" else own_id,
        ca_bundle=os.environ.get("AWS_CA_BUNDLE") or None,
    )
    table_name = os.environ.get(schema.TABLE_NAME_VARIABLE, "")
    seed = SeedLoader(client=_dynamodb, table_name=table_name, has_time=lambda: seconds_left() > reserve)
    with response.for_work(
        seconds=seconds_left() - reserve,
        progress=lambda: str(seed.progress),
    ):
        counts = _act(event, properties, seed, table_name)
        log.emit("seed_done", request_type=event["RequestType"], **counts)


def _act(event: Mapping[str, Any], properties: Mapping[str, Any], seed: SeedLoader, table_name: str) -> Counter[str]:
    match event["RequestType"]:
        case "Create" | "Update":
            _check_table(properties, table_name)
            conversations = seed_file.load()
            _check_file(properties, seed_file.resource_properties(conversations))
            return seed.replace(_loaded(event.get("OldResourceProperties", {}), table_name), conversations)
        case "Delete":
            try:
                return seed.remove(_loaded(properties, table_name))
            except MissingTableError:
                log.emit("seed_already_gone", reason="there is no table")
                return Counter()
        case other:
            raise PropertyError(f"RequestType is {other!r}, expected Create, Update or Delete")


def _check_table(properties: Mapping[str, Any], table_name: str) -> None:
    if properties.get("TableName") != table_name:
        raise PropertyError(f"TableName is {properties.get('TableName')!r}, the function is set up for {table_name!r}")


def _check_file(properties: Mapping[str, Any], packaged: Mapping[str, Any]) -> None:
    for name, value in packaged.items():
        if properties.get(name) != value:
            raise PropertyError(f"{name} is not that of the seed file packaged with the function; synthesize again")


def _loaded(properties: Mapping[str, Any], table_name: str) -> list[LoadedConversation]:
    """The conversations that were loaded with the properties; none if the properties failed the checks."""
    try:
        _check_table(properties, table_name)
        return [LoadedConversation.from_property(entry) for entry in properties["Conversations"]]
    except (PropertyError, KeyError, TypeError) as error:
        if properties:
            log.emit("seed_never_loaded", reason=type(error).__name__)
        return []
