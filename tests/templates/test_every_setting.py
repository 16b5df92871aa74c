"""Every setting is wired to something: another value changes a template, or the account of the stacks."""

import dataclasses
import functools
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from cruddur_infra.settings import LOG_RETENTION_DAYS, Settings
from cruddur_messages.seed.file import USERS_PATH

ACCOUNT, REGION, VPC = "111122223333", "eu-west-1", "vpc-0a1b2c3d"
HERE = {"account": ACCOUNT, "region": REGION}
BESIDE: Mapping[str, dict[str, Any]] = {
    "provisioned_read_units": {"billing": "provisioned"},
    "provisioned_write_units": {"billing": "provisioned"},
    "vpc_id": HERE,
    "subnet_ids": {**HERE, "vpc_id": VPC},
    "audit_key_arn": {"audit_days": 1},
    "seed_file": {"seed": True},
    "seed_users_file": {"seed": True},
    "alarm_failures": {"monitoring": "full"},
    "alarm_user_errors": {"monitoring": "full"},
    "alarm_loop_factor": {"monitoring": "full"},
}
"""Settings with which another value of the setting means something."""

OTHERS: Mapping[str, Any] = {
    "stage": "other",
    "name": "cruddur-talk",
    **HERE,
    "table_name": "talk",
    "stream_arn": "arn:aws:dynamodb:us-east-1:111122223333:table/cruddur-messages/stream/2026-01-01T00:00:00.000",
    "vpc_id": VPC,
    "subnet_ids": ("subnet-0a1b2c3d", "subnet-0a1b2c3e"),
    "zones": ("us-east-1a", "us-east-1c"),
    "vpc_cidr": "10.99.0.0/24",
    "retry_attempts": 5,
    "canary_minutes": 30,
    "log_retention_days": LOG_RETENTION_DAYS[0],
    "alarm_email": "team@example.com",
    "bootstrap_qualifier": "cruddur",
    "audit_key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1",
    "delivery_repository": "owner@1/name@2",
}

PERMISSIONS = {"seed_protected"}
"""Changes no template: without it, `seed` is refused in a protected stage (test_settings.py)."""


def another(field: "dataclasses.Field[Any]", folder: Path) -> Any:
    """A value that is not the default."""
    kind = typing.get_type_hints(Settings)[field.name]
    if field.name.endswith("_file"):
        users = USERS_PATH.read_text().replace('"bayko"', '"boyko"')
        (folder / "other").write_text(users if "users" in field.name else "Person 1: hi\nPerson 2: hello\n")
        return str(folder / "other")
    if field.name in OTHERS:
        return OTHERS[field.name]
    if get_origin(kind) is Literal:
        return next(value for value in reversed(get_args(kind)) if value != field.default)
    if kind is bool:
        return not field.default
    assert int in (kind, *get_args(kind)), f"name another value of {field.name} here"
    return int(str(field.default or 0)) + 1


@functools.cache
def deployed(settings: Settings) -> str:
    """What would be deployed, and where."""
    from cruddur_infra.stacks import environment
    from tools.synthesis import of_settings

    found = {
        "vpcId": VPC,
        "vpcCidrBlock": "10.0.0.0/16",
        "ownerAccountId": ACCOUNT,
        "availabilityZones": [],
        "subnetGroups": [
            {
                "name": "Isolated",
                "type": "Isolated",
                "subnets": [
                    {
                        "subnetId": f"subnet-0000000{zone}",
                        "cidr": "10.0.0.0/24",
                        "availabilityZone": f"{REGION}{zone}",
                        "routeTableId": "rtb-0a1b2c3d",
                    }
                    for zone in "ab"
                ],
            }
        ],
    }
    lookup = f"vpc-provider:account={ACCOUNT}:filter.vpc-id={VPC}:region={REGION}:returnAsymmetricSubnets=true"
    env = environment(settings, {})
    templates = of_settings(settings, env=env, looked_up={lookup: found})
    return json.dumps([templates, env and [env.account, env.region]], sort_keys=True)


@pytest.mark.parametrize(
    "field",
    [field for field in dataclasses.fields(Settings) if field.name not in PERMISSIONS],
    ids=lambda field: field.name,
)
def test_another_value_changes_what_is_deployed(field: "dataclasses.Field[Any]", tmp_path: Path) -> None:
    before = Settings(**{"stage": "dev", "protect": False, **BESIDE.get(field.name, {})})
    value: Any = not before.protect if field.name == "protect" else another(field, tmp_path)
    assert deployed(before) != deployed(dataclasses.replace(before, **{field.name: value}))
