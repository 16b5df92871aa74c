"""`cdk synth`, as a user runs it: offline, silent, and with the same result on every machine."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cruddur_infra import REPOSITORY
from cruddur_infra.stages import context_of_the_app, read
from tools.synthesis import EVERY_STACK

SOURCES = ("app.py", "cdk.json", "stages.toml", "cruddur_infra", "lambda")
ENVIRONMENT_BIN = REPOSITORY / ".venv" / "bin"


def synth(folder: Path, stage: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the CDK CLI with no credentials, no AWS variable and a home of its own."""
    return subprocess.run(
        [str(REPOSITORY / "node_modules/.bin/cdk"), "synth", "--quiet", "--context", f"stage={stage}"],
        cwd=folder,
        env={"HOME": str(home), "PATH": f"{ENVIRONMENT_BIN}:/usr/bin:/bin", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def contents(folder: Path) -> dict[str, bytes]:
    # CDK adds timings to some syntheses: seen on a busy machine, in one of two equal ones.
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "performance-counters.json"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two copies of the app, at paths of different length, as on two machines."""
    folders = [tmp_path_factory.mktemp(name) / name for name in ("a", "a-much-longer-name")]
    for folder in folders:
        folder.mkdir()
        for source in SOURCES:
            copy = shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copyfile
            copy(REPOSITORY / source, folder / source)
        (folder / ".venv").symlink_to(REPOSITORY / ".venv")
    return folders


@pytest.mark.parametrize("stage", ["prod", pytest.param("dev", marks=pytest.mark.proof)])
def test_it_is_silent_offline_and_the_same_everywhere(stage: str, copies: list[Path], tmp_path: Path) -> None:
    for folder in copies:
        shutil.rmtree(folder / "cdk.out", ignore_errors=True)
        ended = synth(folder, stage, tmp_path)
        said = [
            line
            for line in (ended.stdout + ended.stderr).splitlines()
            if not line.startswith(("Successfully synthesized to", "Supply a stack id"))
        ]
        assert ended.returncode == 0, ended.stderr
        assert said == []
        assert not (folder / "cdk.context.json").exists(), "something was looked up"
        for metadata in (folder / "cdk.out").glob("*.metadata.json"):
            kinds = {entry["type"] for entries in json.loads(metadata.read_text()).values() for entry in entries}
            assert not kinds & {"aws:cdk:warning", "aws:cdk:error", "aws:cdk:info"}
    first, second = (contents(folder / "cdk.out") for folder in copies)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_every_stack_has_its_tags_its_place_and_the_bootstrap_stack_of_the_setting(tmp_path: Path) -> None:
    from aws_cdk import App

    from cruddur_infra import stacks

    app = App(context=context_of_the_app(), outdir=str(tmp_path), analytics_reporting=False)
    stacks.build(app, settings=read({"stage": "prod", "bootstrap_qualifier": "ours", **EVERY_STACK}))
    found = app.synth().stacks
    assert len(found) == 5
    for stack in found:
        assert stack.tags == {"stage": "prod", "system": "cruddur-messages"}
        assert "cdk-ours-deploy-role" in str(stack.assume_role_arn), stack.stack_name
    after_main = [
        stack.stack_name for stack in found if "cruddur-messages-prod" in [one.id for one in stack.dependencies]
    ]
    assert after_main == ["cruddur-messages-prod-audit", "cruddur-messages-prod-seed"]


@pytest.mark.proof
def test_every_recommended_feature_flag_is_set(tmp_path: Path) -> None:
    ended = subprocess.run(
        [str(REPOSITORY / "node_modules/.bin/cdk"), "flags", "--unstable=flags", "--output", str(tmp_path / "out")],
        cwd=REPOSITORY,
        env={"HOME": str(tmp_path), "PATH": f"{ENVIRONMENT_BIN}:/usr/bin:/bin", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "All feature flags are already set to their recommended values" in ended.stdout + ended.stderr
