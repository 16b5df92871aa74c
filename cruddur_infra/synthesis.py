"""Synthesis in this process, as `cdk synth` does it: for tests, and for the drawing of the architecture."""

import json
import tempfile
from pathlib import Path

from aws_cdk import App

from cruddur_infra import stacks
from cruddur_infra.context import context_of_the_app
from cruddur_infra.settings import PREFIX, read
from cruddur_infra.template import Templates


def synthesize(stage: str, **overrides: object) -> Templates:
    """The templates of a stage, made with the context of cdk.json. Raises SettingsError and SeedFileError."""
    context = context_of_the_app()
    settings = read(context | {"stage": stage} | overrides)
    with tempfile.TemporaryDirectory() as folder:
        app = App(context=context, outdir=folder, analytics_reporting=False)
        stacks.build(app, settings=settings)
        app.synth()
        return {
            file.name.removeprefix(f"{PREFIX}-{stage}-").removesuffix(".template.json"): json.loads(file.read_text())
            for file in sorted(Path(folder).glob("*.template.json"))
        }
