"""Settings: a valid value is converted to its type, an invalid one is refused with one line that names it."""

import contextlib
import json
import os
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Aws
from hypothesis import given
from hypothesis import strategies as st

from cruddur_infra import REPOSITORY, names
from cruddur_infra.settings import LONGEST_NAME, LONGEST_NAME_AND_STAGE, Settings, SettingsError
from cruddur_infra.stages import load, read

pytestmark = pytest.mark.check

STAGES = load()
STREAM = "arn:aws:dynamodb:eu-west-1:111111111111:table/cruddur-messages/stream/2026-01-01T00:00:00.000"
KEY = "arn:aws:kms:eu-west-1:111111111111:key/1"

NUMBERS = [name for name, kind in typing.get_type_hints(Settings).items() if kind is int]
SWITCHES = [name for name, kind in typing.get_type_hints(Settings).items() if kind is bool]


def test_the_default_stage_is_dev_and_keys_of_cdk_itself_are_ignored() -> None:
    assert read({}) == STAGES["dev"]
    cdk = {"@aws-cdk/core:newStyleStackSynthesis": True, "aws:cdk:enable-path-metadata": True, "vpc-provider:x": {}}
    assert read(cdk) == STAGES["dev"]


@pytest.mark.parametrize(
    ("context", "name", "value"),
    [
        ({"batch_size": "7"}, "batch_size", 7),
        ({"batch_size": 7}, "batch_size", 7),
        ({"seed": "true"}, "seed", True),
        ({"billing": "provisioned"}, "billing", "provisioned"),
        ({"max_write_units": "40"}, "max_write_units", 40),
        ({"subnet_ids": "subnet-1, subnet-2", "vpc_id": "vpc-0a1b2c3d"}, "subnet_ids", ("subnet-1", "subnet-2")),
        ({"stage": "prod", "seed": "true", "seed_protected": "true"}, "seed", True),
        ({"name": "mine"}, "table_name", "mine"),
        ({"name": "mine"}, "system", "mine-dev"),
        ({"name": "mine", "table_name": "other"}, "table_name", "other"),
        ({"account": "012345678901"}, "account", "012345678901"),
        ({"region": "us-gov-west-1"}, "region", "us-gov-west-1"),
        ({"region": "eusc-de-east-1"}, "region", "eusc-de-east-1"),
        ({"billing": "provisioned"}, "max_read_units", None),
        ({"zones": "us-east-1a,us-east-1c"}, "zones", ("us-east-1a", "us-east-1c")),
    ],
)
def test_a_valid_value_is_converted_to_its_type(context: dict[str, Any], name: str, value: object) -> None:
    assert getattr(read(context), name) == value


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"stage": "prods"}, ["unknown stage", "'prods'", "did you mean 'prod'", "local, dev, prod"]),
        ({"sede": "true"}, ["unknown setting", "'sede'", "did you mean 'seed'"]),
        ({"batch_size": "many"}, ["batch_size", "'many'", "whole number"]),
        ({"batch_size": "0"}, ["batch_size", "0", "1 to 10000"]),
        ({"batch_size": ""}, ["batch_size", "''"]),
        ({"seed": "yes"}, ["seed", "'yes'", "true or false"]),
        ({"billing": "ondemand"}, ["billing", "'ondemand'", "did you mean 'on-demand'"]),
        ({"table_name": "a b"}, ["table_name", "'a b'", "3 to 255"]),
        ({"log_retention_days": "2"}, ["log_retention_days", "2", "3"]),
        ({"billing": "provisioned", "max_read_units": "5"}, ["max_read_units", "provisioned_read_units"]),
        ({"stage": "prod", "seed": "true"}, ["seed=true", "prod", "seed_protected=true"]),
        ({"seed_protected": "true"}, ["seed_protected", "leave it out"]),
        ({"protect": "true", "seed": "true"}, ["seed=true", "dev", "protected", "seed_protected=true"]),
        ({"zones": "us-east-1a,us-east-1a"}, ["zones", "two availability zones"]),
        ({"zones": "eu-west-1a,eu-west-1b", "region": "us-east-1"}, ["zones", "eu-west-1a", "us-east-1"]),
        ({"zones": "eu-west-1a,eu-west-1b", "vpc_id": "vpc-0a1b2c3d"}, ["zones", "vpc_id"]),
        ({"architecture": "arm"}, ["architecture", "'arm'", "did you mean 'arm64'"]),
        ({"name": "Cruddur"}, ["name", "'Cruddur'", "a-z"]),
        ({"name": "cr"}, ["name", "'cr'", "3 to 32"]),
        ({"name": "c" * 33}, ["name", "3 to 32"]),
        ({"name": "-cruddur"}, ["name", "a letter first"]),
        ({"name": "cruddur-"}, ["name", "no hyphen last"]),
        ({"name": "aws-messages"}, ["name", "'aws'"]),
        ({"name": "ssm-messages"}, ["name", "'ssm'"]),
        ({"account": "12345678901"}, ["account", "'12345678901'", "twelve digits"]),
        ({"account": "my-account"}, ["account", "'my-account'", "twelve digits"]),
        ({"region": "Virginia"}, ["region", "'Virginia'", "us-east-1"]),
        ({"monitoring": "ful"}, ["monitoring", "did you mean 'full'"]),
        ({"monitoring": "none", "alarm_email": "team@example.com"}, ["alarm_email", "monitoring=none"]),
        ({"stage": "local", "flow_logs": "true"}, ["flow_logs", "emulator"]),
        ({"subnet_ids": "subnet-1"}, ["subnet_ids", "vpc_id"]),
        ({"vpc_id": "my-vpc"}, ["vpc_id", "'my-vpc'", "vpc-"]),
        ({"vpc_cidr": "10.0.0.0"}, ["vpc_cidr", "'10.0.0.0'", "/"]),
        ({"vpc_cidr": "10.0.0.1/16"}, ["vpc_cidr", "'10.0.0.1/16'", "/16"]),
        ({"vpc_cidr": "10.0.0.0/29"}, ["vpc_cidr", "'10.0.0.0/29'", "/16", "/26"]),
        ({"vpc_cidr": "127.0.0.0/16"}, ["vpc_cidr", "'127.0.0.0/16'", "private"]),
        ({"batching_window_seconds": "300"}, ["batching_window_seconds", "300", "alarm_age_seconds", "shorter"]),
        ({"alarm_email": "nobody"}, ["alarm_email", "'nobody'", "team@example.com"]),
        ({"alarm_age_seconds": "0"}, ["alarm_age_seconds", "0", "1 to 86400"]),
        ({"delivery_repository": "cruddur"}, ["delivery_repository", "'cruddur'", "owner/name"]),
        ({"delivery_repository": "acme@1/cruddur"}, ["delivery_repository", "owner@id/name@id"]),
        ({"stream_arn": f'"{STREAM}"'}, ["stream_arn", STREAM, "arn:aws:dynamodb:<region>"]),
        ({"stream_arn": "arn:aws:dynamodb:eu-west-1:1:table/t"}, ["stream_arn", "stream"]),
        ({"audit_days": "7"}, ["audit_days", "0 to 6"]),
        ({"audit_days": "1", "point_in_time_recovery": "false"}, ["audit_days", "point_in_time_recovery: leave it on"]),
        ({"audit_key_arn": KEY}, ["only used with audit_days"]),
        ({"audit_days": "1", "audit_key_arn": "x"}, ["audit_key_arn", "'x'", "the ARN of a KMS key"]),
        *(
            ({setting: arn, "audit_days": "1"} | elsewhere, [setting, arn, *elsewhere.values()])
            for setting, arn in (("stream_arn", STREAM), ("audit_key_arn", KEY))
            for elsewhere in ({"region": "eu-north-1"}, {"account": "999988887777"})
        ),
    ],
)
def test_an_invalid_value_is_refused_in_one_line(context: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        read(context)
    line = str(refused.value)
    assert "\n" not in line
    assert [word for word in words if word not in line] == []


@given(st.sampled_from(NUMBERS), st.text())
def test_any_text_for_a_number_is_accepted_or_refused_with_a_settings_error(name: str, value: str) -> None:
    with contextlib.suppress(SettingsError):
        assert getattr(read({name: value}), name) == int(value)


@given(st.sampled_from(SWITCHES), st.text())
def test_a_switch_is_true_or_false_and_nothing_else(name: str, value: str) -> None:
    if value not in ("true", "false"):
        with pytest.raises(SettingsError, match=name):
            read({name: value})


@pytest.mark.parametrize(
    ("context", "line"),
    [
        (["stage=prods"], "error: unknown stage 'prods' (did you mean 'prod'?); known are local, dev, prod"),
        (["seed=true", "seed_file=no/such/file.txt"], "no/such/file.txt"),
        (["account=111122223333"], "account is 111122223333, and your credentials belong to 999988887777"),
        (["name=Cruddur"], "name is 'Cruddur'; it takes 3 to 32"),
    ],
)
def test_the_app_prints_that_line_and_exits_with_status_1_before_synthesis(
    context: list[str], line: str, tmp_path: Any
) -> None:
    given_context = dict(pair.split("=") for pair in context)
    program = (
        "import json, os, runpy, sys; os.environ['CDK_CONTEXT_JSON'] = sys.argv[1]; "
        "os.environ['CDK_OUTDIR'] = sys.argv[2]; runpy.run_path('app.py', run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, json.dumps(given_context), str(tmp_path / "out")],
        cwd=REPOSITORY,
        # The variables with which the CDK CLI passes on the credentials' account.
        env=os.environ | {"CDK_DEFAULT_ACCOUNT": "999988887777"},
        capture_output=True,
        text=True,
        check=False,
    )
    own_lines = [text for text in ended.stderr.splitlines() if text.startswith("error:")]
    assert ended.returncode == 1
    assert len(own_lines) == 1
    assert line in own_lines[0]
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "out").glob("*.template.json"))


def written(folder: Path, text: str) -> Path:
    file = folder / "stages.toml"
    file.write_text(text)
    return file


def test_a_stage_of_a_teams_own_is_protected_and_overridden_by_the_command_alone(tmp_path: Path) -> None:
    file = written(
        tmp_path, '[staging]\nname = "mine"\nsubnet_ids = ["subnet-1"]\nvpc_id = "vpc-0a1b2c3d"\nmemory_mb = 256'
    )
    found = read({"stage": "staging", "memory_mb": "1024"}, file=file)
    assert (found.system, found.table_name, found.protect, found.memory_mb) == ("mine-staging", "mine", True, 1024)
    assert found.subnet_ids == ("subnet-1",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[prod]\nsede = true", ["[prod]", "unknown setting 'sede'", "did you mean 'seed'"]),
        ('[prod]\nstage = "dev"', ["[prod]", "unknown setting 'stage'"]),
        ('[prod]\nmemory_mb = "1024"', ["[prod]", "memory_mb is '1024'", "a whole number"]),
        ("[prod]\nmemory_mb = true", ["[prod]", "memory_mb is True", "a whole number"]),
        ("[prod]\nmemory_mb = 1.5", ["[prod]", "memory_mb is 1.5", "a whole number"]),
        ('[prod]\nprotect = "true"', ["[prod]", "protect is 'true'", "true or false"]),
        ("[prod]\nprotect = 1", ["[prod]", "protect is 1", "true or false"]),
        ("[prod]\nname = 5", ["[prod]", "name is 5", "a text"]),
        ('[prod]\nsubnet_ids = "subnet-1"', ["[prod]", "subnet_ids is 'subnet-1'", "a list"]),
        ("[prod]\nzones = [1, 2]", ["[prod]", "zones is [1, 2]", "a list of texts"]),
        ('[prod]\nmonitoring = "ful"', ["[prod]", "monitoring", "did you mean 'full'"]),
        ("[prod]\nbatch_size = 0", ["[prod]", "batch_size is 0", "1 to 10000"]),
        ("[prod]\nseed = true", ["[prod]", "seed=true", "seed_protected"]),
        ("[prod]\n[my-stage]", ["[my-stage]", "stage is 'my-stage'", "lower-case letters and digits"]),
        ("[Prod]", ["[Prod]", "stage is 'Prod'"]),
        (f'[staging]\nname = "{"n" * LONGEST_NAME}"', ["[staging]", f"{LONGEST_NAME_AND_STAGE} characters at most"]),
        ("memory_mb = 256", ["memory_mb stands in no section", "[dev]"]),
        ("[prod\nseed = true", ["is not TOML", "line 1"]),
        ("[prod]\nseed = yes", ["is not TOML", "line 2"]),
        ("[prod]\nseed = true\nseed = true\n[dev]", ["is not TOML", "line 3"]),
        ("[prod]\n[prod]", ["is not TOML", "line 2"]),
        (
            '[dev]\naccount = "111122223333"\n[prod]\naccount = "111122223333"',
            ["[prod] has the account, region and table of [dev]"],
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_with_file_section_and_key(
    text: str, words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refused:
        read({"stage": "dev"}, file=written(tmp_path, text))
    line = str(refused.value)
    assert "\n" not in line
    assert [word for word in ["stages.toml", *words] if word not in line] == []


def test_a_file_that_is_missing_or_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^there is no stages\.toml.*restore it$"):
        load(tmp_path / "stages.toml")
    (tmp_path / "stages.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"^stages\.toml is not TOML: .*$"):
        load(tmp_path / "stages.toml")


def test_a_setting_in_cdks_own_files_is_refused_and_other_keys_there_are_none_of_ours(tmp_path: Path) -> None:
    file = tmp_path / ".cdk.json"
    file.write_text(json.dumps({"context": {"owner": "team"}}))
    empty = tmp_path / "empty.json"
    empty.write_text('{"context": null}')
    assert read({"owner": "team"}, cdk_files=[file, empty, tmp_path / "none"]) == STAGES["dev"]
    with pytest.raises(SettingsError, match="unknown setting 'owner'"):
        read({"owner": "team"}, cdk_files=[])
    for key in ("memory_mb", "stage"):
        file.write_text(json.dumps({"context": {key: "1024"}}))
        with pytest.raises(SettingsError, match=f"^\\.cdk\\.json has the setting '{key}'.* move it to stages.toml$"):
            read({key: "1024"}, cdk_files=[file])


@given(stage=st.from_regex(r"[a-z][a-z0-9]{0,30}", fullmatch=True), name=st.integers(3, LONGEST_NAME))
def test_names_that_are_accepted_fit_everywhere(stage: str, name: int) -> None:
    """IAM and Lambda accept 64 characters for a role's and a function's name; a region has up to fourteen."""
    try:
        settings = Settings(stage=stage, name="n" * name)
    except SettingsError:
        assert name + len(stage) > LONGEST_NAME_AND_STAGE
        return
    for part in ("projection", "seed", "canary"):
        assert len(names.role_name(settings.system, part).replace(str(Aws.REGION), "ap-southeast-1")) <= 64
        assert len(names.function_name(settings.system, part)) <= 64
    assert len(settings.stack_name("delivery")) <= 128


@pytest.mark.parametrize(
    ("context", "found", "bound_to"),
    [
        ({}, {"CDK_DEFAULT_ACCOUNT": "999988887777", "CDK_DEFAULT_REGION": "eu-west-1"}, None),
        ({"account": "999988887777"}, {"CDK_DEFAULT_ACCOUNT": "999988887777"}, ("999988887777", None)),
        ({"account": "999988887777", "region": "eu-west-1"}, {}, ("999988887777", "eu-west-1")),
        ({"vpc_id": "vpc-0a1b2c3d"}, {"CDK_DEFAULT_ACCOUNT": "9", "CDK_DEFAULT_REGION": "r"}, ("9", "r")),
        ({"vpc_id": "vpc-0a1b2c3d", "region": "eu-west-1"}, {"CDK_DEFAULT_ACCOUNT": "9"}, ("9", "eu-west-1")),
    ],
)
def test_stacks_are_bound_to_an_account_if_set_or_needed(
    context: dict[str, str], found: dict[str, str], bound_to: tuple[str, str | None] | None
) -> None:
    from cruddur_infra.stacks import environment

    bound = environment(read(context), found)
    assert (bound and (bound.account, bound.region)) == bound_to


@pytest.mark.parametrize(
    ("context", "found", "words"),
    [
        (
            {"account": "111122223333"},
            {"CDK_DEFAULT_ACCOUNT": "999988887777"},
            "111122223333.*999988887777",
        ),
        ({"vpc_id": "vpc-0a1b2c3d"}, {"CDK_DEFAULT_REGION": "eu-west-1"}, "vpc_id.*no credentials"),
        ({"vpc_id": "vpc-0a1b2c3d"}, {"CDK_DEFAULT_ACCOUNT": "9"}, "vpc_id.*no.*region"),
    ],
)
def test_credentials_of_another_account_or_missing_ones_are_refused(
    context: dict[str, str], found: dict[str, str], words: str
) -> None:
    from cruddur_infra.stacks import environment

    with pytest.raises(SettingsError, match=words):
        environment(read(context), found)
