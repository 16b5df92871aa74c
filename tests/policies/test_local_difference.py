"""The templates of `local` differ from those of `dev` only in what the emulator cannot evaluate."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from cruddur_infra.stages import load
from cruddur_messages.projection import filters as stream_filters
from tests.templates.fixtures import synthesize
from tools.synthesis import Templates

GUARD = {"Null": {"dynamodb:LeadingKeys": "false"}}
THROUGH_THE_ENDPOINT = "StringEquals"

GUARDED = (
    "ReadConversations SendMessages StartConversations StartConversationsInBatches ReadAgain ReadMembers MoveItems "
    "CheckMembers CountUnread DeleteMessages EditAndNote EraseMarks ErasePairItems"
    " LeaveGroups ReadMessages RenameInRows"
)
CONDITIONS_LEFT_OUT = {
    **{("main", name): {"Null"} for name in GUARDED.split()},
    **{
        ("main", name): {THROUGH_THE_ENDPOINT, "Null"}
        for name in ("LockConversation", "ReadNewestMessage", "ReadGroupRows", "MoveGroupRows")
    },
    ("main", "FindGroupRows"): {THROUGH_THE_ENDPOINT},
    **{("seed", name): {"Null"} for name in ("ReadConversations", "WriteConversations")},
}
"""By stack and statement."""

Path = tuple[str, ...]


@pytest.mark.parametrize("monitoring", ["essential", "full"])
def test_the_difference_is_what_the_emulator_cannot_evaluate(monitoring: str) -> None:
    of_local, of_dev = _differing_settings()
    local = _comparable(synthesize("local", **of_local, monitoring=monitoring), "local")
    dev = _comparable(synthesize("dev", **of_dev, monitoring=monitoring), "dev")
    conditions: dict[tuple[str, str], set[str]] = {}
    others: list[tuple[Path, Any, Any]] = []
    for path, in_dev, in_local in differences(dev, local):
        match path:
            case (part, *_, sid, "Condition", operator) if in_local is None:
                conditions.setdefault((part, sid), set()).add(operator)
                assert _is_left_out(operator, in_dev), path
            case ("main", "Resources", _) if in_local is None:
                assert in_dev["Type"] == "AWS::Logs::QueryDefinition" or "Metrics" in in_dev["Properties"], path
            case _:
                others.append((path, in_dev, in_local))
    assert conditions == CONDITIONS_LEFT_OUT
    ((path, of_aws, of_the_emulator),) = others
    assert path[0] == "main"
    assert json.loads(of_aws) == stream_filters.patterns()[1]
    assert of_the_emulator == of_aws.replace('{"S":[{"exists":false}]}', '[{"exists":false}]') != of_aws


def _differing_settings() -> tuple[dict[str, str], dict[str, str]]:
    """Settings that make the two stages alike: of dev for local what only dev has, such as ceilings; else of local."""
    local, dev = (dataclasses.asdict(load()[stage]) for stage in ("local", "dev"))
    differing = [name for name in local if name != "stage" and local[name] != dev[name]]
    return (
        {name: str(dev[name]).lower() for name in differing if local[name] is None},
        {name: str(local[name]).lower() for name in differing if local[name] is not None},
    )


def _is_left_out(operator: str, condition: Any) -> bool:
    """Whether the emulator cannot evaluate a condition: the guard, or the one that names the endpoint."""
    return {operator: condition} == GUARD or (operator, list(condition)) == (THROUGH_THE_ENDPOINT, ["aws:SourceVpce"])


def _comparable(templates: Templates, stage: str) -> Any:
    """The templates without the stage's name, and with a Condition, perhaps empty, in every statement."""
    text = json.dumps(templates)
    for before in ("-", "/", ", "):
        text = text.replace(f"{before}{stage}", f"{before}<stage>")
    return _by_sid(json.loads(text))


def _by_sid(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _by_sid(nested) for name, nested in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(nested, dict) and "Sid" in nested for nested in value):
            return {nested["Sid"]: {"Condition": {}, **_by_sid(nested)} for nested in value}
        return [_by_sid(nested) for nested in value]
    return value


def differences(one: Any, other: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """The differences of two values: the path and both values, None if one has none."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            yield from differences(one.get(name), other.get(name), (*path, name))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (element, its_other) in enumerate(zip(one, other, strict=True)):
            yield from differences(element, its_other, (*path, str(number)))
    elif one != other:
        yield path, one, other
