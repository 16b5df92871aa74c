"""The templates of prod as last reviewed, and the differences of dev and local from them.

Update with `make snapshots`, and read the difference: it is what a deployment changes.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tools.synthesis import Templates

AUDITED = {"audit_days": "1", "audit_key_arn": "arn:aws:kms:us-east-1:111122223333:key/1"}

ASSET_HASH = re.compile(r"[0-9a-f]{64}")


def scrubbed(value: Any) -> Any:
    """The template without asset hashes in keys and values, which change with the functions' code."""
    if isinstance(value, dict):
        return {ASSET_HASH.sub("<hash>", name): scrubbed(nested) for name, nested in value.items()}
    if isinstance(value, list):
        return [scrubbed(nested) for nested in value]
    return ASSET_HASH.sub("<hash>", value) if isinstance(value, str) else value


def changed(one: Any, other: Any, path: str = "") -> dict[str, Any]:
    """The values of the other template that differ, by path; None for what it does not have."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(name, one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(number), *both) for number, both in enumerate(zip(one, other, strict=True))]
    else:
        return {} if one == other else {path: other}
    return {
        at: found for name, its, of_other in pairs for at, found in changed(its, of_other, f"{path}/{name}").items()
    }


def test_prod_is_as_reviewed(templates: Callable[..., Templates], snapshot: SnapshotAssertion) -> None:
    found = templates("prod", **AUDITED)
    assert set(found) == {"table", "main", "audit"}
    for part, template in found.items():
        assert scrubbed(template) == snapshot(name=f"prod-{part}", extension_class=JSONSnapshotExtension)


@pytest.mark.parametrize(("stage", "base"), [("dev", "prod"), ("local", "dev")])
def test_the_others_differ_as_reviewed(
    stage: str, base: str, templates: Callable[..., Templates], snapshot: SnapshotAssertion
) -> None:
    found, of_base = templates(stage), templates(base, **({"seed": "true"} if stage == "local" else {}))
    assert found.keys() == of_base.keys()
    renamed = json.loads(json.dumps(of_base).replace(f"messages-{base}", f"messages-{stage}"))
    assert changed(scrubbed(renamed), scrubbed(found)) == snapshot(
        name=f"{stage}-from-{base}", extension_class=JSONSnapshotExtension
    )


def test_each_kind_of_difference_is_seen() -> None:
    template = {"same": 1, "gone": 2, "deep": {"list": [1, 2]}, "longer": [1]}
    other = {"same": 1, "new": 3, "deep": {"list": [1, 5]}, "longer": [1, 2]}
    assert changed(template, other) == {"/gone": None, "/new": 3, "/deep/list/1": 5, "/longer": [1, 2]}
