"""The stages of stages.toml, and the settings of one of them with the overrides of a command (`-c key=value`)."""

import difflib
import itertools
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cruddur_infra import REPOSITORY
from cruddur_infra.settings import Settings, SettingsError

FILE = REPOSITORY / "stages.toml"
DEFAULT_STAGE = "dev"

CDK_JSON = REPOSITORY / "cdk.json"
CDK_FILES = (CDK_JSON, Path.home() / ".cdk.json")
"""The CDK CLI mixes their context with that of the command, so the app cannot tell them apart."""

TYPES = {name: kind for name, kind in typing.get_type_hints(Settings).items() if name != "stage"}


def load(file: Path = FILE) -> Mapping[str, Settings]:
    """The stages of a file. Raises SettingsError with file, section and key, and the line if it is not TOML."""
    try:
        sections = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no {file.name}, which has the settings of each stage; restore it") from None
    except ValueError as error:
        raise SettingsError(f"{file.name} is not TOML: {error}") from None
    stages = {stage: _stage(file.name, stage, section) for stage, section in sections.items()}
    # A stage without an account is deployed to that of the credentials, which nobody knows here.
    on_aws = [settings for settings in stages.values() if settings.account is not None and not settings.is_emulated]
    for one, other in itertools.combinations(on_aws, 2):
        if (one.account, one.region, one.table_name) == (other.account, other.region, other.table_name):
            raise SettingsError(
                f"{file.name} [{other.stage}] has the account, region and table of [{one.stage}]; "
                "give it another account, region or name"
            )
    return stages


def read(context: Mapping[str, Any], *, file: Path = FILE, cdk_files: Iterable[Path] = CDK_FILES) -> Settings:
    """The settings of the stage that the context of the CDK app names, with the overrides in it.

    Keys with a colon, an at sign or a slash, those that the CDK CLI itself sets, and those of cdk.json and ~/.cdk.json
    are no settings and are ignored. Raises SettingsError for an unknown key, a value of the wrong type or range, a
    contradiction, and a setting in one of the CDK's files.
    """
    stages = load(file)
    foreign = _keys_of_cdk(cdk_files)
    given = {key: value for key, value in context.items() if key not in foreign and _is_ours(key)}
    stage = given.pop("stage", DEFAULT_STAGE)
    if stage not in stages:
        raise SettingsError(f"unknown stage {stage!r}{_suggestion(str(stage), stages)}; known are {', '.join(stages)}")
    overrides = {key: _checked(key, _from_text(value, _kind(key))) for key, value in given.items()}
    if "name" in overrides:
        # Also instead of the stage's own table_name: another system must not take its table.
        overrides.setdefault("table_name", overrides["name"])
    if overrides.get("billing") == "provisioned":
        # The stage's ceilings belong to the billing that is overridden.
        overrides = {"max_read_units": None, "max_write_units": None} | overrides
    return replace(stages[stage], **overrides)


def context_of_the_app() -> dict[str, Any]:
    """The context of cdk.json, which has the feature flags."""
    context: dict[str, Any] = json.loads(CDK_JSON.read_text())["context"]
    return context


def _stage(file: str, stage: str, section: object) -> Settings:
    if not isinstance(section, dict):
        raise SettingsError(f"{file}: {stage} stands in no section; put it under a stage, such as [{DEFAULT_STAGE}]")
    try:
        values = {key: _checked(key, value) for key, value in section.items()}
        if "name" in values:
            values.setdefault("table_name", values["name"])
        return Settings(stage=stage, **values)
    except SettingsError as error:
        raise SettingsError(f"{file} [{stage}] {error}") from None


def _keys_of_cdk(files: Iterable[Path]) -> set[str]:
    found: set[str] = set()
    for file in files:
        if not file.exists():
            continue
        keys = (json.loads(file.read_text()).get("context") or {}).keys()
        if misplaced := sorted(keys & {"stage", *TYPES}):
            raise SettingsError(
                f"{file.name} has the setting {misplaced[0]!r}, for every stage; move it to {FILE.name}"
            )
        found |= keys
    return found


def _is_ours(key: str) -> bool:
    return not any(mark in key for mark in ":@/") and key not in (
        "cli-telemetry",
        "acknowledged-issue-numbers",
        "cdk-migrate",
    )


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _kind(name: str) -> Any:
    """The type of a setting, without None. Raises SettingsError if there is no such setting."""
    if name not in TYPES:
        raise SettingsError(f"unknown setting {name!r}{_suggestion(name, TYPES)}; known are {', '.join(TYPES)}")
    kind = TYPES[name]
    if get_origin(kind) is types.UnionType:
        return next(option for option in get_args(kind) if option is not types.NoneType)
    return kind


def _from_text(value: object, kind: Any) -> object:
    """The value of an override, as TOML would have it; the text itself if it is none of that type."""
    if not isinstance(value, str):
        return value
    if kind is bool:
        return {"true": True, "false": False}.get(value, value)
    if kind is int:
        try:
            return int(value)
        except ValueError:
            return value
    if get_origin(kind) is tuple:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _checked(name: str, value: Any) -> Any:
    """The value, if it is of the setting's type; nothing is converted but a list to a tuple."""
    kind = _kind(name)
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        close = _suggestion(str(value), get_args(kind))
        raise SettingsError(f"{name} is {value!r}{close}; it takes {', '.join(get_args(kind))}")
    if get_origin(kind) is tuple:
        if isinstance(value, list) and all(isinstance(one, str) and one for one in value):
            return tuple(value)
        raise SettingsError(f"{name} is {value!r}; it takes a list of texts")
    # True is an int in Python, and not in TOML.
    if type(value) is kind and value != "":
        return value
    takes = {bool: "true or false", int: "a whole number", str: "a text"}[kind]
    raise SettingsError(f"{name} is {value!r}; it takes {takes}")
