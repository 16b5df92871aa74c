"""The templates of prod as last reviewed, and the differences of dev and local from them.

Update with `make snapshots`, and read the difference: it is what a deployment changes.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tools.synthesis import Templates

ASSET_HASH = re.compile(r"[0-9a-f]{64}")


def scrubbed(value: Any) -> Any:
    """The template without asset hashes in keys and values, which change with the functions' code."""
    if isinstance(value, dict):
        return {ASSET_HASH.sub("<hash>", name): scrubbed(nested) for name, nested in value.items()}
    if isinstance(value, list):
        return [scrubbed(nested) for nested in value]
    return ASSET_HASH.sub("<hash>", value) if isinstance(value, str) else value


def differences(template: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of the other template that differ, by path; None for what it does not have."""
    if template == other:
        return
    if isinstance(template, dict) and isinstance(other, dict):
        for name in sorted(template.keys() | other.keys()):
            yield from differences(template.get(name), other.get(name), f"{path}/{name}")
    elif isinstance(template, list) and isinstance(other, list) and len(template) == len(other):
        for number, (one, another) in enumerate(zip(template, other, strict=True)):
            yield from differences(one, another, f"{path}/{number}")
    else:
        yield path, other


def test_prod_is_as_reviewed(templates: Callable[..., Templates], snapshot: SnapshotAssertion) -> None:
    found = templates("prod")
    assert set(found) == {"table", "main"}
    for part, template in found.items():
        assert scrubbed(template) == snapshot(name=f"prod-{part}", extension_class=JSONSnapshotExtension)


@pytest.mark.parametrize(("stage", "base"), [("dev", "prod"), ("local", "dev")])
def test_the_others_differ_as_reviewed(
    stage: str, base: str, templates: Callable[..., Templates], snapshot: SnapshotAssertion
) -> None:
    found, of_base = templates(stage), templates(base, **({"seed": "true"} if stage == "local" else {}))
    assert found.keys() == of_base.keys()
    renamed = json.loads(json.dumps(of_base).replace(f"messages-{base}", f"messages-{stage}"))
    changed = dict(differences(scrubbed(renamed), scrubbed(found)))
    assert changed == snapshot(name=f"{stage}-from-{base}", extension_class=JSONSnapshotExtension)


def test_each_kind_of_difference_is_seen() -> None:
    template = {"same": 1, "gone": 2, "deep": {"list": [1, 2]}, "longer": [1]}
    other = {"same": 1, "new": 3, "deep": {"list": [1, 5]}, "longer": [1, 2]}
    assert dict(differences(template, other)) == {"/gone": None, "/new": 3, "/deep/list/1": 5, "/longer": [1, 2]}


def test_scrubbing_leaves_no_hash_in_keys_or_values() -> None:
    hash_ = "0123456789abcdef" * 4
    assert scrubbed({f"Asset-{hash_}": [f"{hash_}.zip", {"n": 1}]}) == {"Asset-<hash>": ["<hash>.zip", {"n": 1}]}
