"""The architecture as a Mermaid flowchart, drawn from the synthesized templates.

`python -m tools.drawings.architecture` writes it into docs/architecture.md.
"""

from typing import Any

from cruddur_infra import REPOSITORY
from tools.synthesis import Template, Templates, function, only, resources, role, synthesize

DOCUMENT = REPOSITORY / "docs/architecture.md"
BEGIN, END = "<!-- drawing: made by `make drawing` from the templates -->", "<!-- end of drawing -->"

STREAM_READS = ("GetRecords", "GetShardIterator")
EVERY_STACK = {"seed": "true", "seed_protected": "true", "delivery_repository": "owner/name", "audit_days": "1"}
"""The settings with which prod has every stack."""


def draw(templates: Templates) -> str:
    """The flowchart of a stage with all its stacks; every label is a value of a template."""
    table = only(templates["table"], "AWS::DynamoDB::Table")["Properties"]
    main = templates["main"]
    mapping = only(main, "AWS::Lambda::EventSourceMapping")["Properties"]
    schedule = only(templates["audit"], "AWS::Scheduler::Schedule")["Properties"]
    nodes = {
        "table": [("table", f'[("{table["TableName"]}<br/>index {_index_name(table)}")]')],
        "main": [
            ("vpc", f'["VPC, {len(resources(main, "AWS::EC2::Subnet"))} isolated subnets"]'),
            ("endpoint", '{{"DynamoDB gateway endpoint"}}'),
            ("mapping", f'["event source mapping<br/>{_delivery(mapping)}"]'),
            ("projection", f'["{_function_label(main, "projection")}"]'),
            ("canary", f'["{_function_label(main, "canary")}"]'),
            ("queue", '[["failure queue"]]'),
            ("parameters", f'["SSM: {_parameters(main)}"]'),
            ("policy", '["managed policy of the backend"]'),
            ("operating", '["managed policy of operators"]'),
            ("filters", f'["{len(resources(main, "AWS::Logs::MetricFilter"))} metric filters"]'),
            ("alarms", f'["{len(resources(main, "AWS::CloudWatch::Alarm"))} alarms"]'),
            ("topic", '[["SNS topic"]]'),
            ("dashboard", '["dashboard"]'),
        ],
        "seed": [
            ("conversations", '(["custom resource"])'),
            ("loader", f'["{_function_label(templates["seed"], "seed")}"]'),
        ],
        "audit": [
            ("check", f'["state machine, {schedule["ScheduleExpression"]}"]'),
            ("job", '["Glue job"]'),
            ("bucket", '[("exports, findings")]'),
        ],
        "delivery": [(f"role_{name}", f'["role {name}"]') for name in _roles(templates["delivery"])],
    }
    edges = [
        ("flask", "policy", "has"),
        ("flask", "parameters", "reads"),
        ("policy", "table", _data_actions(_managed_policy(main, "Backend")["Properties"])),
        ("team", "operating", "has"),
        ("operating", "table", "verify, rebuild, redrive"),
        ("table", "mapping", f"stream, {table['StreamSpecification']['StreamViewType']}"),
        ("mapping", "projection", "batches"),
        ("mapping", "queue", "records it gave up on"),
        ("projection", "vpc", "runs in"),
        ("projection", "endpoint", _data_actions_of_role(main, "projection")),
        ("endpoint", "table", "the only route"),
        ("projection", "filters", "log lines, counts only"),
        ("canary", "table", f"of made-up people: {_data_actions_of_role(main, 'canary')}"),
        ("canary", "filters", "failures, seconds"),
        ("filters", "alarms", "metrics"),
        ("alarms", "topic", "notify"),
        ("topic", "team", "e-mail"),
        ("team", "dashboard", "looks at"),
        *(("workflow", f"role_{name}", "assumes, by OIDC") for name in _roles(templates["delivery"])),
        ("conversations", "loader", "load, remove"),
        ("loader", "table", _data_actions_of_role(templates["seed"], "seed")),
        ("table", "bucket", "export"),
        ("check", "job", "exports, then starts"),
        ("job", "bucket", "reads the export, writes findings"),
        ("job", "table", "reads again what looks wrong"),
        ("check", "team", "alarms"),
    ]
    outside = {"flask": "Flask backend", "team": "the team", "workflow": "GitHub workflow"}
    lines = ["flowchart LR", *(f'    {name}(["{label}"])' for name, label in outside.items())]
    for part, members in nodes.items():
        lines += [f'    subgraph {part}_stack["{part} stack"]', *(f"        {name}{shape}" for name, shape in members)]
        lines.append("    end")
    lines += [f'    {source} -- "{label}" --> {target}' for source, target, label in edges]
    return "\n".join(lines)


def documented(document: str, drawing: str) -> str:
    """The document with the drawing between its marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n```mermaid\n{drawing}\n```\n\n{END}{after}"


def _roles(template: Template) -> list[str]:
    """The roles by the names of their policies."""
    roles = resources(template, "AWS::IAM::Role").values()
    return [role["Properties"]["Policies"][0]["PolicyName"].lower() for role in roles]


def _managed_policy(template: Template, of: str) -> dict[str, Any]:
    (found,) = [one for name, one in resources(template, "AWS::IAM::ManagedPolicy").items() if of in name]
    return dict(found)


def _index_name(table: dict[str, Any]) -> str:
    return ", ".join(index["IndexName"] for index in table["GlobalSecondaryIndexes"])


def _delivery(mapping: dict[str, Any]) -> str:
    filters = len(mapping["FilterCriteria"]["Filters"])
    return f"{mapping['StartingPosition']}, up to {mapping['BatchSize']} records, {filters} filters"


def _function_label(template: Template, part: str) -> str:
    found = function(template, part)
    return f"{found['Handler'].split('.')[1]}<br/>{found['Runtime']}, {', '.join(found['Architectures'])}"


def _parameters(template: Template) -> str:
    names = (found["Properties"]["Name"] for found in resources(template, "AWS::SSM::Parameter").values())
    return ", ".join(sorted(name.rsplit("/", 1)[1] for name in names))


def _data_actions_of_role(template: Template, part: str) -> str:
    """What a function's role may do with items: the projection's by a policy beside it, the others' by their own."""
    (own,) = role(template, part)["Properties"]["Policies"]
    beside = [policy["Properties"] for policy in resources(template, "AWS::IAM::Policy").values()]
    tables = [policy for policy in beside if policy["PolicyName"] == "table"]
    return _data_actions(tables[0] if part == "projection" else own)


def _data_actions(policy: dict[str, Any]) -> str:
    """What a policy allows on items; Lambda reads the stream."""
    allowed: set[str] = set()
    for statement in policy["PolicyDocument"]["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        allowed |= {action.removeprefix("dynamodb:") for action in actions if action.startswith("dynamodb:")}
    return ", ".join(sorted(name for name in allowed if "Stream" not in name and name not in STREAM_READS))


if __name__ == "__main__":
    DOCUMENT.write_text(documented(DOCUMENT.read_text(), draw(synthesize("prod", **EVERY_STACK))))
