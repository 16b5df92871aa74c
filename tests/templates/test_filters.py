"""The synthesized filter patterns, tested on stream records of every kind."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.projection.event_source_mapping import passes
from tools.synthesis import Templates, only

MESSAGE_KEYS = {"pk": {"S": "MSG#6a7e"}, "sk": {"S": "2026-01-01T00:00:00+00:00"}}
ROW_KEYS = {"pk": {"S": "GRP#77f0"}, "sk": {"S": "2026-01-01T00:00:00+00:00"}}
ROW = {**ROW_KEYS, "message_group_uuid": {"S": "6a7e"}, "message": {"S": "hi"}}
SETTLED_ROW = {**ROW, "message_uuid": {"S": "m-1"}}
EMPTY_ROW = {**ROW, "message": {"S": ""}, "message_uuid": {"S": ""}}
CONVERSATION_KEYS = {"pk": {"S": "CONV#6a7e"}, "sk": {"S": "CONV"}}
BY_TIME_TO_LIVE = {"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}
"""Developer Guide, "DynamoDB Streams and Time to Live"."""


def record(event_name: str, keys: dict[str, Any], image: dict[str, Any] | None) -> dict[str, Any]:
    change: dict[str, Any] = {"Keys": keys, "SequenceNumber": "1", "StreamViewType": "NEW_IMAGE"}
    if image is not None:
        change["NewImage"] = image
    return {"eventName": event_name, "eventSource": "aws:dynamodb", "dynamodb": change}


RECORDS = [
    ("a new message", record("INSERT", MESSAGE_KEYS, {**MESSAGE_KEYS, "message": {"S": "hi"}}), True),
    ("an edited message", record("MODIFY", MESSAGE_KEYS, {**MESSAGE_KEYS, "message": {"S": "ho"}}), True),
    (
        "a message that carries a group",
        record("INSERT", MESSAGE_KEYS, {**MESSAGE_KEYS, "message_group_uuid": {"S": "x"}}),
        True,
    ),
    ("a deleted message", record("REMOVE", MESSAGE_KEYS, None), True),
    ("a message that DynamoDB removes as expired", {**record("REMOVE", MESSAGE_KEYS, None), **BY_TIME_TO_LIVE}, True),
    ("a row that a backend has put", record("INSERT", ROW_KEYS, ROW), True),
    ("a row that a backend has put over another", record("MODIFY", ROW_KEYS, ROW), True),
    ("a row that the projection has moved", record("INSERT", ROW_KEYS, SETTLED_ROW), False),
    ("a row that the projection has changed in place", record("MODIFY", ROW_KEYS, SETTLED_ROW), False),
    ("a row of a conversation without a message", record("MODIFY", ROW_KEYS, EMPTY_ROW), False),
    ("a row that has moved away", record("REMOVE", ROW_KEYS, None), False),
    ("a conversation item that is new", record("INSERT", CONVERSATION_KEYS, CONVERSATION_KEYS), False),
    ("a conversation item with its next version", record("MODIFY", CONVERSATION_KEYS, CONVERSATION_KEYS), False),
    ("a conversation item that is deleted", record("REMOVE", CONVERSATION_KEYS, None), False),
    (
        "an item of another kind",
        record("INSERT", {"pk": {"S": "USR#1"}, "sk": {"S": "x"}}, {"pk": {"S": "USR#1"}}),
        False,
    ),
]


of_every_kind = pytest.mark.parametrize(
    ("sample", "is_let_through"), [pytest.param(sample, passes_, id=kind) for kind, sample, passes_ in RECORDS]
)


def patterns_of(templates: Callable[..., Templates]) -> list[dict[str, Any]]:
    mapping = only(templates("prod")["main"], "AWS::Lambda::EventSourceMapping")["Properties"]
    return [json.loads(given["Pattern"]) for given in mapping["FilterCriteria"]["Filters"]]


@of_every_kind
def test_on_aws(sample: dict[str, Any], is_let_through: bool, templates: Callable[..., Templates]) -> None:
    assert passes(patterns_of(templates), sample) is is_let_through


@of_every_kind
def test_on_the_emulator(sample: dict[str, Any], is_let_through: bool, templates: Callable[..., Templates]) -> None:
    from ministack.services import lambda_svc

    mapping = only(templates("local")["main"], "AWS::Lambda::EventSourceMapping")["Properties"]
    assert bool(lambda_svc._apply_filter_criteria([sample], mapping)) is is_let_through


def test_there_are_no_more_filters_than_lambda_takes(templates: Callable[..., Templates]) -> None:
    assert 1 <= len(patterns_of(templates)) <= 5
