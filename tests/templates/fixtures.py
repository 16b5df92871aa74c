"""The synthesized templates, made once for each stage and set of overrides in a test process."""

import functools
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cruddur_infra import REPOSITORY

Template = Mapping[str, Any]
Templates = Mapping[str, Template]
"""The templates of a stage by the part of the stack: `table`, `network`, `projection`, `backend`, `seed`."""

STAGES = ("local", "dev", "prod")


@functools.cache
def synthesize(stage: str, **overrides: object) -> Templates:
    """Synthesize a stage in this process as `cdk synth` does, with the context of cdk.json."""
    # Importing CDK starts Node; tests that do without are spared it.
    from aws_cdk import App

    from cruddur_infra import settings, stacks

    flags = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    folder = Path(tempfile.mkdtemp(prefix="cruddur-cdk-"))
    app = App(context=flags, outdir=str(folder), analytics_reporting=False)
    stacks.build(app, settings=settings.read({"stage": stage} | overrides))
    app.synth()
    prefix = f"{settings.PREFIX}-{stage}-"
    return {
        file.name.removeprefix(prefix).removesuffix(".template.json"): json.loads(file.read_text())
        for file in sorted(folder.glob("*.template.json"))
    }


@pytest.fixture(scope="session")
def templates() -> Callable[..., Templates]:
    """Synthesizes a stage: `templates("dev", billing="provisioned")`."""
    return synthesize


def resources(template: Template, resource_type: str) -> dict[str, Any]:
    """The resources of a type, by logical id."""
    return {name: found for name, found in template["Resources"].items() if found["Type"] == resource_type}


def only(template: Template, resource_type: str) -> dict[str, Any]:
    """The one resource of a type."""
    found = list(resources(template, resource_type).values())
    assert len(found) == 1, f"{len(found)} resources of type {resource_type}, expected one"
    return found[0]
