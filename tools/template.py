"""Synthesized templates, as values."""

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


def named(template: Template, resource_type: str, name: str) -> dict[str, Any]:
    """The only resource of a type that has a property such as `RoleName` with this fixed name."""
    (found,) = [found for found in resources(template, resource_type).values() if name in found["Properties"]]
    return dict(found)
