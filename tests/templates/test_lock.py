"""The properties of a deployed table that must never change: CloudFormation would replace it and lose its data."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.templates.fixtures import each_stage
from tools.synthesis import Template, Templates, resources

LOCKED = {
    "logical id": "MessagesTable",
    "type": "AWS::DynamoDB::Table",
    "TableName": "cruddur-messages",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "ImportSourceSpecification": None,
    "index": ("message-group-sk-index", ("message_group_uuid", "HASH"), ("sk", "RANGE")),
    "attribute types": {"pk": "S", "sk": "S", "message_group_uuid": "S"},
}
"""CloudFormation reference, AWS::DynamoDB::Table: what "requires replacement"; and the index."""


def broken_locks(template: Template) -> list[str]:
    """The differences between the template's table and the lock, as messages for developers."""
    tables = resources(template, "AWS::DynamoDB::Table")
    if list(tables) != [LOCKED["logical id"]]:
        return [
            f"the table's logical id is {list(tables)}, deployed tables have {LOCKED['logical id']!r}: "
            "CloudFormation would replace the table and lose its data"
        ]
    properties = tables["MessagesTable"]["Properties"]
    (index,) = properties["GlobalSecondaryIndexes"]
    found: dict[str, Any] = {
        "TableName": properties.get("TableName"),
        "KeySchema": properties["KeySchema"],
        "ImportSourceSpecification": properties.get("ImportSourceSpecification"),
        "index": (index["IndexName"], *((key["AttributeName"], key["KeyType"]) for key in index["KeySchema"])),
        "attribute types": {a["AttributeName"]: a["AttributeType"] for a in properties["AttributeDefinitions"]},
    }
    return [
        f"the table's {name} is {value!r}, deployed tables have {LOCKED[name]!r}: "
        "CloudFormation would replace the table or its index"
        for name, value in found.items()
        if value != LOCKED[name]
    ]


@each_stage
def test_a_deployed_table_is_not_replaced(stage: str, templates: Callable[..., Templates]) -> None:
    assert broken_locks(templates(stage)["table"]) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda t: t["Resources"].update(Other=t["Resources"].pop("MessagesTable")), "logical id"),
        (lambda t: t["Resources"]["MessagesTable"]["Properties"].update(TableName="other"), "TableName"),
        (lambda t: t["Resources"]["MessagesTable"]["Properties"]["KeySchema"].reverse(), "KeySchema"),
        (
            lambda t: t["Resources"]["MessagesTable"]["Properties"]["AttributeDefinitions"][0].update(
                AttributeType="N"
            ),
            "types",
        ),
        (
            lambda t: t["Resources"]["MessagesTable"]["Properties"]["GlobalSecondaryIndexes"][0].update(IndexName="x"),
            "index",
        ),
    ],
)
def test_each_change_that_would_replace_it_is_named(
    change: Callable[[Any], None], word: str, templates: Callable[..., Templates]
) -> None:
    template = copy.deepcopy(templates("prod")["table"])
    change(template)
    (line,) = broken_locks(template)
    assert word in line
    assert "replace" in line
