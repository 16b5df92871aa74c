"""Every setting is wired to something: another value changes a template, or the account of the stacks."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from cruddur_infra.settings import LOG_RETENTION_DAYS, Settings, read
from cruddur_messages.seed.file import USERS_PATH

BESIDE: Mapping[str, dict[str, Any]] = {
    "stage": {"flow_logs": False},
    "provisioned_read_units": {"billing": "provisioned"},
    "provisioned_write_units": {"billing": "provisioned"},
    "vpc_id": {"account": "111122223333", "region": "eu-west-1"},
    "subnet_ids": {"account": "111122223333", "region": "eu-west-1", "vpc_id": "vpc-0a1b2c3d"},
    "seed_prod": {"stage": "prod", "seed": True},
    "seed_file": {"seed": True},
    "seed_users_file": {"seed": True},
    "alarm_user_errors": {"monitoring": "full"},
    "alarm_loop_factor": {"monitoring": "full"},
}
"""Settings with which another value of the setting means something."""

TEXTS = {
    "name": "cruddur-talk",
    "account": "999988887777",
    "region": "eu-west-1",
    "table_name": "talk",
    "stream_arn": "arn:aws:dynamodb:us-east-1:111122223333:table/cruddur-messages/stream/2026-01-01T00:00:00.000",
    "vpc_id": "vpc-0a1b2c3d",
    "subnet_ids": "subnet-0a1b2c3d",
    "vpc_cidr": "10.99.0.0/24",
    "alarm_email": "team@example.com",
    "delivery_repository": "owner@1/name@2",
}


def another(field: "dataclasses.Field[Any]", folder: Path) -> object:
    """A value that is not the default."""
    kind = typing.get_type_hints(Settings)[field.name]
    kinds = [kind, *get_args(kind)]
    if field.name == "seed_file":
        (folder / "talk.txt").write_text("Person 1: hi\nPerson 2: hello\n")
        return str(folder / "talk.txt")
    if field.name == "seed_users_file":
        (folder / "users.json").write_text(USERS_PATH.read_text().replace('"bayko"', '"boyko"'))
        return str(folder / "users.json")
    if field.name == "log_retention_days":
        return next(days for days in LOG_RETENTION_DAYS if days != field.default)
    if field.name in TEXTS:
        return TEXTS[field.name]
    if get_origin(kind) is Literal:
        return next(value for value in reversed(get_args(kind)) if value != field.default)
    if bool in kinds:
        return not field.default
    assert int in kinds, f"name another value of {field.name} here"
    return int(str(field.default or 0)) + 1


def deployed(context: Mapping[str, Any]) -> str:
    """What would be deployed, and where."""
    from cruddur_infra.stacks import environment
    from tools.synthesis import of_settings

    settings = read(context)
    env = environment(settings, {})
    return json.dumps([of_settings(settings, env=env), env and [env.account, env.region]], sort_keys=True)


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_another_value_changes_what_is_deployed(field: "dataclasses.Field[Any]", tmp_path: Path) -> None:
    beside = BESIDE.get(field.name, {})
    default = {"seed_prod": {"seed": False}}.get(field.name, {})
    assert deployed({**beside, **default}) != deployed({**beside, field.name: another(field, tmp_path)})
