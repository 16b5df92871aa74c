"""The flowchart of docs/architecture.md: drawn by hand in architecture.mmd, with values of the synthesized templates.

`python -m tools.drawing` writes it into the document.
"""

import re
from pathlib import Path
from string import Template as Text
from typing import Any

from cruddur_infra import REPOSITORY
from tools.synthesis import EVERY_STACK, Templates, function, only, resources, role, synthesize

SOURCE = Path(__file__).with_name("architecture.mmd")
DOCUMENT = REPOSITORY / "docs/architecture.md"


def drawn(document: str, templates: Templates) -> str:
    """The document with the flowchart of a stage that has all stacks. Raises KeyError for a value that is not known."""
    flowchart = Text(SOURCE.read_text()).substitute(values(templates))
    return re.sub(r"(?<=```mermaid\n).*?(?=```)", lambda _: flowchart, document, flags=re.DOTALL)


def values(templates: Templates) -> dict[str, object]:
    """What the pictures show of a stage."""
    main, seed = templates["main"], templates["seed"]
    table = only(templates["table"], "AWS::DynamoDB::Table")["Properties"]
    mapping = only(main, "AWS::Lambda::EventSourceMapping")["Properties"]
    (index,) = table["GlobalSecondaryIndexes"]
    functions = [function(main, "projection"), function(main, "canary"), function(seed, "seed")]
    (runtime,) = {f"{found['Runtime']}, {', '.join(found['Architectures'])}" for found in functions}
    parameters = [found["Properties"]["Name"] for found in resources(main, "AWS::SSM::Parameter").values()]
    (backend,) = [policy for name, policy in resources(main, "AWS::IAM::ManagedPolicy").items() if "Backend" in name]
    policies = [policy["Properties"] for policy in resources(main, "AWS::IAM::Policy").values()]
    (projection,) = [policy for policy in policies if policy["PolicyName"] == "table"]
    return {
        "table": table["TableName"],
        "index": index["IndexName"],
        "view": table["StreamSpecification"]["StreamViewType"],
        "start": mapping["StartingPosition"],
        "batch": mapping["BatchSize"],
        "stream_filters": len(mapping["FilterCriteria"]["Filters"]),
        "runtime": runtime,
        "subnets": len(resources(main, "AWS::EC2::Subnet")),
        "parameters": ", ".join(sorted(name.rsplit("/", 1)[1] for name in parameters)),
        "metric_filters": len(resources(main, "AWS::Logs::MetricFilter")),
        "alarms": len(resources(main, "AWS::CloudWatch::Alarm")),
        "audit_schedule": only(templates["audit"], "AWS::Scheduler::Schedule")["Properties"]["ScheduleExpression"],
        "backend_actions": _data_actions(backend["Properties"]),
        "projection_actions": _data_actions(projection),
        "canary_actions": _data_actions(role(main, "canary")["Properties"]["Policies"][0]),
        "seed_actions": _data_actions(role(seed, "seed")["Properties"]["Policies"][0]),
    }


def _data_actions(policy: dict[str, Any]) -> str:
    """What a policy allows on items."""
    statements = policy["PolicyDocument"]["Statement"]
    listed = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in statements]
    names = {name.removeprefix("dynamodb:") for one in listed for name in one if name.startswith("dynamodb:")}
    return ", ".join(sorted(names))


if __name__ == "__main__":
    DOCUMENT.write_text(drawn(DOCUMENT.read_text(), synthesize("prod", **EVERY_STACK)))
