"""Synthesizes the templates of a stage in this process, as `cdk synth` does: for drawings, tests and figures."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Environment

from cruddur_infra import stacks
from cruddur_infra.settings import Settings
from cruddur_infra.stages import context_of_the_app, read
from tools.template import Templates


def synthesize(stage: str, **overrides: object) -> Templates:
    """The templates of a stage, synthesized with the context of cdk.json. Raises SettingsError and SeedFileError."""
    return of_settings(read(context_of_the_app() | {"stage": stage} | overrides))


def of_settings(
    settings: Settings, *, env: Environment | None = None, looked_up: Mapping[str, Any] | None = None
) -> Templates:
    """The templates for settings; `looked_up` is context that the CDK CLI would have found in the account."""
    with tempfile.TemporaryDirectory() as folder:
        app = App(context={**context_of_the_app(), **(looked_up or {})}, outdir=folder, analytics_reporting=False)
        stacks.build(app, settings=settings, env=env)
        app.synth()
        return {
            _part(file.name.removesuffix(".template.json"), settings): json.loads(file.read_text())
            for file in sorted(Path(folder).glob("*.template.json"))
        }


def _part(stack_name: str, settings: Settings) -> str:
    return stack_name.removeprefix(settings.system).removeprefix("-") or "main"
