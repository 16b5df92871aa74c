"""Synthesized templates, as values."""

import json
from collections.abc import Mapping
from typing import Any

Template = Mapping[str, Any]
Templates = Mapping[str, Template]
"""The templates of a stage by part: `table`, `main`, and if enabled `seed` and `delivery`."""


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
