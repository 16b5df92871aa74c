"""The templates of a stage, synthesized in this process as `cdk synth` does: for tests and figures."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cruddur_infra.settings import Settings
from cruddur_infra.stages import context_of_the_app, read

if TYPE_CHECKING:
    from aws_cdk import Environment

Template = Mapping[str, Any]
Templates = Mapping[str, Template]
"""The templates of a stage by part: `table`, `main`, and if enabled `seed`, `delivery` and `audit`."""


EVERY_STACK = {"seed": "true", "seed_protected": "true", "delivery_repository": "owner/name", "audit_days": "1"}
"""The settings with which prod has every stack."""


def synthesize(stage: str, **overrides: object) -> Templates:
    """The templates of a stage, synthesized with the context of cdk.json. Raises SettingsError and SeedFileError."""
    return of_settings(read(context_of_the_app() | {"stage": stage} | overrides))


def of_settings(
    settings: Settings, *, env: "Environment | None" = None, looked_up: Mapping[str, Any] | None = None
) -> Templates:
    """The templates for settings; `looked_up` is context that the CDK CLI would have found in the account."""
    # Importing CDK starts Node, so only what synthesizes imports it.
    from aws_cdk import App

    from cruddur_infra import stacks

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


def resources(template: Template, resource_type: str) -> dict[str, Any]:
    """The resources of a type, by logical id."""
    return {name: found for name, found in template["Resources"].items() if found["Type"] == resource_type}


def only(template: Template, resource_type: str) -> dict[str, Any]:
    """The only resource of a type. Raises ValueError if there is none or more than one."""
    found = list(resources(template, resource_type).values())
    if len(found) != 1:
        raise ValueError(f"{len(found)} resources of type {resource_type}, expected one")
    return dict(found[0])


def function(template: Template, part: str) -> dict[str, Any]:
    """The properties of the function of a part, such as `projection`."""
    return dict(_of_part(template, "AWS::Lambda::Function", "FunctionName", f"-{part}")["Properties"])


def role(template: Template, part: str) -> dict[str, Any]:
    """The role of the function of a part."""
    return _of_part(template, "AWS::IAM::Role", "RoleName", f"-{part}-")


def log_group(template: Template, part: str) -> dict[str, Any]:
    """The log group of the function of a part."""
    return _of_part(template, "AWS::Logs::LogGroup", "LogGroupName", f"-{part}")


def _of_part(template: Template, resource_type: str, name: str, part: str) -> dict[str, Any]:
    found = resources(template, resource_type).values()
    (one,) = [one for one in found if part in json.dumps(one["Properties"].get(name))]
    return dict(one)
