"""Every template of every stage, as it was when somebody last looked at it.

Update with `make snapshots`, and read the difference: it is what a deployment changes.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from cruddur_infra.template import Templates
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.templates.fixtures import STAGES

PARTS = ("table", "network", "projection", "monitoring", "backend", "seed")
ASSET_HASH = re.compile(r"[0-9a-f]{64}")


def scrubbed(value: Any) -> Any:
    """The same without asset hashes, in keys and in values, which change with every line of a function."""
    if isinstance(value, dict):
        return {ASSET_HASH.sub("<hash>", name): scrubbed(nested) for name, nested in value.items()}
    if isinstance(value, list):
        return [scrubbed(nested) for nested in value]
    return ASSET_HASH.sub("<hash>", value) if isinstance(value, str) else value


@pytest.mark.parametrize("stage", STAGES)
def test_templates_are_as_reviewed(
    stage: str, templates: Callable[..., Templates], snapshot: SnapshotAssertion
) -> None:
    found = templates(stage)
    assert set(found) == set(PARTS) - (set() if stage == "local" else {"seed"})
    for part, template in found.items():
        assert scrubbed(template) == snapshot(name=f"{stage}-{part}", extension_class=JSONSnapshotExtension)


def test_scrubbing_leaves_no_hash_in_keys_or_values() -> None:
    hash_ = "0123456789abcdef" * 4
    assert scrubbed({f"Asset-{hash_}": [f"{hash_}.zip", {"n": 1}]}) == {"Asset-<hash>": ["<hash>.zip", {"n": 1}]}
