"""The pictures of the documents, which are drawn by hand, say what the templates say."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cruddur_infra import REPOSITORY
from cruddur_messages import schema
from tests.templates.fixtures import EVERY_STACK
from tools.synthesis import Template, Templates, function, only, resources, role

OVERVIEW = REPOSITORY / "docs/overview.svg"
DIAGRAM = REPOSITORY / "docs/architecture.md"


def table_of(templates: Templates) -> dict[str, Any]:
    return dict(only(templates["table"], "AWS::DynamoDB::Table")["Properties"])


def mapping_of(templates: Templates) -> dict[str, Any]:
    return dict(only(templates["main"], "AWS::Lambda::EventSourceMapping")["Properties"])


def runtime(template: Template, part: str) -> str:
    found = function(template, part)
    return f"{found['Runtime']}, {', '.join(found['Architectures'])}"


def number(template: Template, resource_type: str) -> int:
    return len(resources(template, resource_type))


def labels_of_the_overview(templates: Templates) -> Iterator[str]:
    table, mapping = table_of(templates), mapping_of(templates)
    labels = {
        table["TableName"],
        *(f"index {index['IndexName']}" for index in table["GlobalSecondaryIndexes"]),
        f"{schema.MESSAGE_PREFIX}  messages",
        f"{schema.GROUP_ROW_PREFIX}  group rows: the inboxes",
        f"{schema.CONVERSATION_PREFIX}  conversation items",
        table["StreamSpecification"]["StreamViewType"],
        f"up to {mapping['BatchSize']} records",
        runtime(templates["main"], "projection"),
        f"{number(templates['main'], 'AWS::CloudWatch::Alarm')} alarms",
    }
    return (f">{label}</text>" for label in labels)


def labels_of_the_diagram(templates: Templates) -> Iterator[str]:
    """Nodes and arrows of the Mermaid flowchart, as far as a template decides them."""
    main, table, mapping = templates["main"], table_of(templates), mapping_of(templates)
    (index,) = [index["IndexName"] for index in table["GlobalSecondaryIndexes"]]
    yield f'table[("{table["TableName"]}<br/>index {index}")]'
    yield f'vpc["VPC, {number(main, "AWS::EC2::Subnet")} isolated subnets"]'
    filters = len(mapping["FilterCriteria"]["Filters"])
    yield f"{mapping['StartingPosition']}, up to {mapping['BatchSize']} records, {filters} filters"
    yield f'table -- "stream, {table["StreamSpecification"]["StreamViewType"]}" --> mapping'
    for template, part in ((main, "projection"), (main, "canary"), (templates["seed"], "seed")):
        yield f'"{part}<br/>{runtime(template, part)}"'
    parameters = (found["Properties"]["Name"] for found in resources(main, "AWS::SSM::Parameter").values())
    yield f'parameters["SSM: {", ".join(sorted(name.rsplit("/", 1)[1] for name in parameters))}"]'
    yield f'filters["{number(main, "AWS::Logs::MetricFilter")} metric filters"]'
    yield f'alarms["{number(main, "AWS::CloudWatch::Alarm")} alarms"]'
    schedule = only(templates["audit"], "AWS::Scheduler::Schedule")["Properties"]
    yield f'check["state machine, {schedule["ScheduleExpression"]}"]'

    (backend,) = [found for name, found in resources(main, "AWS::IAM::ManagedPolicy").items() if "Backend" in name]
    yield f'policy -- "{actions(backend["Properties"])}" --> table'
    beside = [found["Properties"] for found in resources(main, "AWS::IAM::Policy").values()]
    (of_table,) = [policy for policy in beside if policy["PolicyName"] == "table"]
    yield f'projection -- "{actions(of_table)}" --> endpoint'
    (of_canary,), (of_seed,) = (
        role(template, part)["Properties"]["Policies"]
        for template, part in ((main, "canary"), (templates["seed"], "seed"))
    )
    yield f'canary -- "of made-up people: {actions(of_canary)}" --> table'
    yield f'loader -- "{actions(of_seed)}" --> table'


def actions(policy: dict[str, Any]) -> str:
    """What a policy allows on the table."""
    statements = policy["PolicyDocument"]["Statement"]
    listed = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in statements]
    names = {name.removeprefix("dynamodb:") for one in listed for name in one if name.startswith("dynamodb:")}
    return ", ".join(sorted(names))


@pytest.mark.parametrize(
    ("picture", "labels"),
    [(OVERVIEW, labels_of_the_overview), (DIAGRAM, labels_of_the_diagram)],
    ids=["overview", "diagram"],
)
def test_a_picture_says_what_prod_has(
    picture: Path, labels: Callable[[Templates], Iterator[str]], templates: Callable[..., Templates]
) -> None:
    drawn = picture.read_text()
    wrong = [label for label in labels(templates("prod", **EVERY_STACK)) if label not in drawn]
    assert wrong == [], f"correct these labels in {picture}"


def test_the_diagram_has_every_stack_and_every_role_of_the_delivery(templates: Callable[..., Templates]) -> None:
    whole, drawn = templates("prod", **EVERY_STACK), DIAGRAM.read_text()
    assert re.findall(r'subgraph \w+\["(\w+) stack"\]', drawn) == ["table", "main", "seed", "audit", "delivery"]
    assert whole.keys() == {"table", "main", "seed", "audit", "delivery"}
    delivery = resources(whole["delivery"], "AWS::IAM::Role").values()
    roles = [found["Properties"]["Policies"][0]["PolicyName"].lower() for found in delivery]
    assert sorted(re.findall(r'role_\w+\["role (\w+)"\]', drawn)) == sorted(roles)


@pytest.mark.parametrize("picture", sorted(OVERVIEW.parent.glob("**/*.svg")), ids=lambda path: str(path.name))
def test_no_picture_loads_anything_from_the_web(picture: Path) -> None:
    assert "url(http" not in picture.read_text()
