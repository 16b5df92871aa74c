"""Every setting is wired to something: another value shows in what is deployed."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cruddur_infra.settings import Settings
from cruddur_messages.seed.file import USERS_PATH
from tests.policies.authorization import ACCOUNT, REGION
from tests.policies.deployed import EXISTING_SUBNETS, EXISTING_VPC, LOOKED_UP
from tests.templates.test_snapshots import changed
from tools.synthesis import of_settings

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/"
STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/cruddur-messages/stream/2026-01-01T00:00:00.000"

TOGETHER: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = (
    (
        {"monitoring": "full", "audit_days": 1, "audit_key_arn": f"{KEY}1"},
        {
            "stage": "other",
            "name": "cruddur-talk",
            "account": ACCOUNT,
            "region": REGION,
            "table_name": "talk-table",
            "max_read_units": 401,
            "max_write_units": 203,
            "zones": (f"{REGION}c", f"{REGION}d"),
            "vpc_cidr": "10.99.0.0/24",
            "runtime": "python3.13",
            "architecture": "x86_64",
            "memory_mb": 517,
            "timeout_seconds": 67,
            "batch_size": 173,
            "batching_window_seconds": 29,
            "parallelization_factor": 7,
            "retry_attempts": 9973,
            "record_age_seconds": 43_201,
            "log_retention_days": 731,
            "keep_days": 23,
            "alarm_email": "team@example.com",
            "alarm_age_seconds": 307,
            "alarm_failures": 17,
            "alarm_user_errors": 113,
            "alarm_loop_factor": 19,
            "bootstrap_qualifier": "ours",
            "delivery_repository": "owner@1/name@2",
            "audit_days": 3,
            "audit_key_arn": f"{KEY}2",
        },
    ),
    (
        {"account": ACCOUNT, "region": REGION},
        {"stream_arn": STREAM, "vpc_id": EXISTING_VPC, "subnet_ids": EXISTING_SUBNETS},
    ),
    ({"billing": "provisioned"}, {"provisioned_read_units": 11, "provisioned_write_units": 13}),
)
"""Settings, and others beside them whose values are told from all else that changes."""

ALONE: Mapping[str, Mapping[str, Any]] = {
    "billing": {"billing": "provisioned"},
    "encryption": {"encryption": "customer-managed"},
    "point_in_time_recovery": {"point_in_time_recovery": False},
    "protect": {"protect": True},
    "flow_logs": {"flow_logs": True},
    "backend_changes": {"backend_changes": False},
    "backend_batch_write": {"backend_batch_write": False},
    "monitoring": {"monitoring": "none"},
    "canary_minutes": {"canary_minutes": 20},
    "seed": {"seed": True},
    "seed_file": {"seed": True, "seed_file": "conversations"},
    "seed_users_file": {"seed": True, "seed_users_file": "users"},
}
"""Settings whose values do not stand in a template."""

PERMISSIONS = {"seed_protected"}
"""Changes no template: without it, `seed` is refused in a protected stage (test_settings.py)."""


def deployed(values: Mapping[str, Any]) -> dict[str, Any]:
    """What would be deployed, and where."""
    from cruddur_infra.stacks import environment

    settings = Settings(**{"stage": "dev", "protect": False, **values})
    env = environment(settings, {})
    return {"where": env and [env.account, env.region], **of_settings(settings, env=env, looked_up=LOOKED_UP)}


def shows(value: Any, text: str) -> bool:
    if isinstance(value, tuple):
        return all(shows(part, text) for part in value)
    return re.search(rf"(?<!\d){re.escape(str(value))}(?!\d)", text) is not None


@pytest.mark.parametrize(("beside", "others"), TOGETHER, ids=lambda values: next(iter(values)))
def test_another_value_shows(beside: Mapping[str, Any], others: Mapping[str, Any]) -> None:
    text = json.dumps(list(changed(deployed(beside), deployed({**beside, **others})).values()))
    assert [name for name, value in others.items() if not shows(value, text)] == []


def test_another_value_of_those_that_do_not_stand_in_a_template_changes_it(tmp_path: Path) -> None:
    (tmp_path / "conversations").write_text("Person 1: hi\nPerson 2: hello\n")
    (tmp_path / "users").write_text(USERS_PATH.read_text().replace('"bayko"', '"boyko"'))
    seen = [deployed({})]
    for name, values in ALONE.items():
        in_folder = {key: str(tmp_path / value) for key, value in values.items() if key.endswith("_file")}
        found = deployed({**values, **in_folder})
        assert found not in seen, name
        seen.append(found)


def test_no_setting_is_left_out() -> None:
    tested = {name for _, others in TOGETHER for name in others} | ALONE.keys() | PERMISSIONS
    assert {field.name for field in dataclasses.fields(Settings)} == tested
