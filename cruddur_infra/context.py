"""What cdk.json says for every command: feature flags, and settings if somebody has added any."""

import json
from typing import Any

from cruddur_infra import REPOSITORY


def context_of_the_app() -> dict[str, Any]:
    """The context of cdk.json, which `-c` overrides."""
    context: dict[str, Any] = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    return context
