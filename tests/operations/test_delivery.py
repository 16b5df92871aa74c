"""Delivery: roles that a workflow may assume and what they may do; workflows that run what the README says."""

import copy
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cruddur_cli import settlement
from cruddur_cli.main import main
from cruddur_cli.target import Target
from cruddur_infra import REPOSITORY
from cruddur_messages import schema
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.policies.authorization import LEADING_KEYS, distinct
from tests.policies.deployed import OPERATOR, Intrinsics, deployed, parse_policy
from tests.policies.recorder import Recorder, requests
from tools.synthesis import Templates, resources

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
ISSUER = "token.actions.githubusercontent.com"


def roles(templates: Callable[..., Templates], **overrides: object) -> dict[str, dict[str, Any]]:
    template = templates("prod", **{"delivery_repository": "acme/cruddur"} | overrides)["delivery"]
    found = resources(template, "AWS::IAM::Role")
    outputs = {output: value["Value"]["Fn::GetAtt"][0] for output, value in template["Outputs"].items()}
    return {output: found[logical_id]["Properties"] for output, logical_id in outputs.items()}


def statement(role: dict[str, Any]) -> dict[str, Any]:
    """The only statement of a role's only policy."""
    assert "ManagedPolicyArns" not in role
    (policy,) = role["Policies"]
    (found,) = policy["PolicyDocument"]["Statement"]
    return dict(found)


def written(value: Any) -> str:
    return re.sub(r'\{"Ref": "AWS::(\w+)"\}', r"<\1>", json.dumps(value))


@pytest.mark.parametrize(
    ("output", "subjects"),
    [
        ("DeployRoleArn", ["environment:prod"]),
        ("SmokeRoleArn", ["environment:prod"]),
        ("DiffRoleArn", ["pull_request", "ref:refs/heads/main"]),
    ],
)
@pytest.mark.parametrize("repository", ["acme/cruddur", "acme@123456/cruddur@456789"])
def test_only_this_repository_and_this_environment_may_assume_a_role(
    repository: str, output: str, subjects: list[str], templates: Callable[..., Templates]
) -> None:
    (trust,) = roles(templates, delivery_repository=repository)[output]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    named = [f"repo:{repository}:{subject}" for subject in subjects]
    assert trust["Condition"] == {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": named if len(named) > 1 else named[0]}
    }


def test_the_role_deploy_may_assume_two_bootstrap_roles_and_nothing_else(
    templates: Callable[..., Templates],
) -> None:
    for overrides, qualifier in (({}, "hnb659fds"), ({"bootstrap_qualifier": "ours"}, "ours")):
        found = statement(roles(templates, **overrides)["DeployRoleArn"])
        assert found["Action"] == "sts:AssumeRole"
        named = re.findall(rf"cdk-{qualifier}-([\w-]+)-role-", written(found["Resource"]))
        assert named == ["deploy", "file-publishing"]
        assert len(found["Resource"]) == 2


def test_the_role_smoke_may_make_every_call_of_the_command_and_only_on_made_up_items(
    templates: Callable[..., Templates],
    cruddur_table_on: Callable[[str], CruddurTable],
    dynamodb_local_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, projection = cruddur_table_on(dynamodb_local_endpoint), tables.dynamodb(dynamodb_local_endpoint)
    recorder = Recorder()

    def settle(**_: Any) -> None:
        if recorder.calls and recorder.calls[-1].operation in ("PutItem", "TransactWriteItems"):
            items = projection.scan(TableName=table.name)["Items"]
            groups = {item["message_group_uuid"]["S"] for item in items if "message_group_uuid" in item}
            assert settlement.settle(projection, table.name, groups) == {}

    table.client.meta.events.register("provide-client-params.dynamodb", settle)
    monkeypatch.setattr(Target, "dynamodb", lambda _: recorder.attach(table.client, OPERATOR))
    assert main(["smoke", "--prod", "--messages", "2", "--table", table.name]) == 0

    found = deployed("prod")
    asked = distinct(one for call in recorder.calls for one in requests(call, found))
    (policy,) = roles(templates)["SmokeRoleArn"]["Policies"]
    role = replace(found.policies, identities={OPERATOR: parse_policy(Intrinsics({}).value(policy["PolicyDocument"]))})
    assert [str(one) for one in asked if not role.passes(OPERATOR, one)] == []
    of_others = [
        one.with_key(LEADING_KEYS, *(key.replace(schema.SMOKE_UUID_PREFIX, "") for key in one.context[LEADING_KEYS]))
        for one in asked
        if schema.SMOKE_UUID_PREFIX in str(one)
    ]
    without_keys = [one.with_key(LEADING_KEYS) for one in of_others if one.resource == found.table_arn]
    assert len(without_keys) > 10
    assert [str(one) for one in (*of_others, *without_keys) if role.passes(OPERATOR, one)] == []


def test_the_role_diff_may_read_this_stages_templates_and_nothing_else(templates: Callable[..., Templates]) -> None:
    found = statement(roles(templates)["DiffRoleArn"])
    assert found["Action"] == ["cloudformation:DescribeStacks", "cloudformation:GetTemplate"]
    assert set(re.findall(r"stack/([^/]+)/\*", written(found["Resource"]))) == {
        "cruddur-messages-prod",
        "cruddur-messages-prod-table",
        "cruddur-messages-prod-seed",
        "cruddur-messages-prod-audit",
        "cruddur-messages-prod-delivery",
    }


def test_the_accounts_provider_is_trusted_and_belongs_to_no_stage(templates: Callable[..., Templates]) -> None:
    for role in roles(templates).values():
        principal = written(role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"])
        assert f":oidc-provider/{ISSUER}" in principal
        assert "<AccountId>" in principal
    for template in templates("prod", delivery_repository="acme/cruddur").values():
        assert not resources(template, "AWS::IAM::OIDCProvider")


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def loaded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github" / name).read_text())
    return found


def test_the_workflow_runs_the_readmes_two_commands() -> None:
    block = re.search(
        r"^    make \w+ +#.*(?:\n    make \w+ +#.*)+", (REPOSITORY / "README.md").read_text(), re.MULTILINE
    )
    assert block is not None
    commands = re.findall(r"make \w+", block[0])
    assert commands == ["make up", "make test"]
    run = [step.get("run") for step in loaded("workflows/checks.yml")["jobs"]["checks"]["steps"]]
    assert [command for command in run if command in commands] == commands


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_permissions_no_key_and_runs_what_exists(workflow: Path) -> None:
    text = workflow.read_text()
    found = yaml.safe_load(text)
    assert found["permissions"] == {}
    assert all(job["permissions"].keys() <= {"contents", "id-token", "pull-requests"} for job in found["jobs"].values())
    assert all(job["permissions"]["contents"] == "read" for job in found["jobs"].values())
    assert "secrets." not in text
    targets = set(re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for step in steps(found):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
        # Text that others can write, such as a branch's name, reaches a command only through the environment.
        assert "${{" not in step.get("run", "")
        for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert target in targets
        for script in re.findall(r"\btools/[\w-]+", step.get("run", "")):
            assert (REPOSITORY / script).stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("change", "is_lost"),
    [
        ({}, False),
        ({"BillingMode": "PROVISIONED"}, False),
        ({"TableName": "other"}, True),
        ({"StreamSpecification": {"StreamViewType": "KEYS_ONLY"}}, True),
        (None, True),
    ],
)
@pytest.mark.proof
def test_a_change_that_would_lose_the_table_or_its_stream_stops_the_workflow(
    change: dict[str, Any] | None, is_lost: bool, templates: Callable[..., Templates], tmp_path: Path
) -> None:
    """The real `cdk diff`, against a template as it might be deployed."""
    deployed = copy.deepcopy(dict(templates("prod")["table"]))
    table = deployed["Resources"]["MessagesTable"]
    if change is None:
        deployed["Resources"]["OtherTable"] = table
    table["Properties"].update(change or {})
    (tmp_path / "deployed.json").write_text(json.dumps(deployed))
    ended = subprocess.run(
        [str(REPOSITORY / "tools/show-diff"), str(tmp_path / "summary.md")],
        env=os.environ
        | {"STAGE": "prod", "STACKS": "cruddur-messages-prod-table", "TEMPLATE": str(tmp_path / "deployed.json")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, "error: the stage prod would lose" in ended.stderr) == (int(is_lost), is_lost)
    assert "cruddur-messages-prod-table" in (tmp_path / "summary.md").read_text()


def test_dependabot_updates_dependencies_of_every_kind() -> None:
    ecosystems = {update["package-ecosystem"] for update in loaded("dependabot.yml")["updates"]}
    assert ecosystems == {"pip", "npm", "github-actions"}
