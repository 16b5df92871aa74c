"""The security scanners find nothing but acknowledged findings, and would find others."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cruddur_infra import REPOSITORY
from cruddur_infra.settings import context_of_the_app
from cruddur_local import paths
from tests.templates.fixtures import STAGES

pytestmark = pytest.mark.proof

PACKS = ("AwsSolutionsChecks", "ServerlessChecks", "NIST80053R5Checks", "HIPAASecurityChecks", "PCIDSS321Checks")
CFN_LINT = paths.ENVIRONMENT_BIN / "cfn-lint"


def scan_with_cdk_nag(
    folder: Path,
    stage: str,
    overrides: Mapping[str, str] | None = None,
    *,
    add: Callable[[Any], object] = lambda app: app,
) -> list[str]:
    """Synthesize a stage into a folder with every pack of rules; it returns what they find, by construct."""
    import cdk_nag
    from aws_cdk import App, Validations

    from cruddur_infra import settings, stacks

    flags = context_of_the_app()
    app = App(context=flags, outdir=str(folder), analytics_reporting=False)
    Validations.of(app).add_plugins(*(getattr(cdk_nag, pack)(app) for pack in PACKS))
    stacks.build(app, settings=settings.read({"stage": stage, **(overrides or {})}))
    add(app)
    try:
        app.synth()
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
        return _violations(folder / "validation-report.json")
    return []


def _violations(report: Path) -> list[str]:
    return [
        f"{violation['ruleName']}: {resource.get('constructPath')}"
        for scanner in json.loads(report.read_text())["pluginReports"]
        for violation in scanner["violations"]
        for resource in violation["violatingConstructs"]
    ]


def scan_with_cfn_lint(templates: Sequence[Path]) -> list[str]:
    """What cfn-lint finds in templates, warnings included, by resource."""
    found = run([str(CFN_LINT), "--regions", "us-east-1", "--format", "json", *map(str, templates)])
    return [
        f"{match['Rule']['Id']}: {'/'.join(map(str, match['Location']['Path']))}"
        for match in json.loads(found.stdout or "[]")
    ]


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The findings of cdk-nag by stage; the templates are in the folder of the same name."""
    return {stage: scan_with_cdk_nag(folder(tmp_path_factory) / stage, stage) for stage in STAGES}


def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "scanned"


@pytest.fixture(scope="module")
def templates(scanned: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the templates of every stage, and nothing else."""
    assert set(scanned) == set(STAGES)
    only_templates = tmp_path_factory.mktemp("templates")
    for template in folder(tmp_path_factory).glob("*/*.template.json"):
        (only_templates / template.name).write_bytes(template.read_bytes())
    return only_templates


@pytest.mark.parametrize("stage", STAGES)
def test_cdk_nag_finds_nothing(stage: str, scanned: dict[str, list[str]]) -> None:
    assert scanned[stage] == []


def test_cfn_lint_finds_nothing(templates: Path) -> None:
    assert scan_with_cfn_lint(sorted(templates.glob("*.json"))) == []


def test_cdk_nag_would_find_what_is_not_acknowledged(tmp_path: Path) -> None:
    """Also on the table: the rules apply to this kind of table, and pass because of its properties."""

    def add_queue(app: Any) -> None:
        from aws_cdk import aws_sqs as sqs

        sqs.Queue(app.node.find_child("cruddur-messages-dev"), "Plain")

    found = scan_with_cdk_nag(tmp_path, "dev", {"point_in_time_recovery": "false"}, add=add_queue)
    rules = {finding.partition(":")[0].rpartition("::")[2] for finding in found}
    assert {
        "AwsSolutions-DDB3",
        "NIST.800.53.R5-DynamoDBPITREnabled",
        "AwsSolutions-SQS3",
        "AwsSolutions-SQS4",
    } <= rules


def test_cfn_lint_would_find_what_is_not_acknowledged(templates: Path, tmp_path: Path) -> None:
    template = json.loads((templates / "cruddur-messages-dev.template.json").read_text())
    for resource in template["Resources"].values():
        resource.pop("Metadata", None)
    bare = tmp_path / "bare.template.json"
    bare.write_text(json.dumps(template))
    assert [finding.partition(":")[0] for finding in scan_with_cfn_lint([bare])] == ["W3005"]
