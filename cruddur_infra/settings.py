"""The settings of each stage, as one frozen value, and their overrides with `-c key=value`."""

import dataclasses
import difflib
import ipaddress
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cruddur_infra import REPOSITORY
from cruddur_messages import schema

SEED_DATA = "lambda/cruddur_messages/seed/data"

LOG_RETENTION_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""The retention periods of CloudWatch Logs (API reference, "PutRetentionPolicy")."""


NAME = re.compile(r"[a-z](-?[a-z0-9]){2,31}")
"""`name` is part of several names and must fit all of them. A table's name has at least three characters. A role's name
has at most 64 with stage, part and region (IAM User Guide, "IAM and AWS STS quotas"), which leaves 32. A stack's name
has letters, digits and hyphens, and starts with a letter (CloudFormation API reference, "CreateStack")."""

LONGEST_NAME = 32

RESERVED_NAMES = ("aws", "ssm")
"""The name of a parameter must not start with these (Systems Manager API reference, "PutParameter")."""

ACCOUNT = re.compile(r"\d{12}")

REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-\d")

TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")
"""DynamoDB's rule for table names (Developer Guide, "Naming rules")."""


VPC_ID = re.compile(r"vpc-[0-9a-f]{8,17}")

PRIVATE_RANGES = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""RFC 1918."""

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

GITHUB_REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+|[A-Za-z0-9-]+@\d+/[A-Za-z0-9._-]+@\d+")
"""A repository as the subject of GitHub's tokens names it, since July 2026 with the ids of owner and repository
(GitHub Docs, "OpenID Connect reference", "Immutable subject claims")."""


class SettingsError(ValueError):
    """A setting is wrong; the text is one line that says which, with what value, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a stage. Each can be overridden with `-c name=value`; docs/settings.md describes them."""

    stage: Literal["local", "dev", "prod"]
    name: str = schema.TABLE_NAME
    account: str | None = None
    region: str | None = None

    table_name: str = ""
    stream_arn: str | None = None
    billing: Literal["on-demand", "provisioned"] = "on-demand"
    max_read_units: int | None = None
    max_write_units: int | None = None
    provisioned_read_units: int = 5
    provisioned_write_units: int = 5
    encryption: Literal["aws-owned", "aws-managed", "customer-managed"] = "aws-owned"
    point_in_time_recovery: bool = True
    protect: bool = False

    vpc_id: str | None = None
    subnet_ids: tuple[str, ...] = ()
    vpc_cidr: str = "10.86.0.0/24"
    flow_logs: bool = False

    memory_mb: int = 512
    timeout_seconds: int = 60
    batch_size: int = 100
    batching_window_seconds: int = 0
    parallelization_factor: int = 1
    retry_attempts: int = 10
    record_age_seconds: int = 3600
    log_retention_days: int = 14

    backend_batch_write: bool = True

    monitoring: Literal["none", "essential", "full"] = "essential"
    alarm_email: str | None = None
    alarm_age_seconds: int = 300
    alarm_failures: int = 20
    alarm_user_errors: int = 100
    alarm_loop_factor: int = 10

    delivery_repository: str | None = None

    seed: bool = False
    seed_prod: bool = False
    seed_file: str = f"{SEED_DATA}/conversations.txt"
    seed_users_file: str = f"{SEED_DATA}/users.json"

    def __post_init__(self) -> None:
        """Set the default of `table_name`, and refuse values that contradict AWS's limits or each other."""
        if not self.table_name:
            object.__setattr__(self, "table_name", self.name)
        if len(self.name) > LONGEST_NAME or not NAME.fullmatch(self.name) or self.name.startswith(RESERVED_NAMES):
            raise SettingsError(
                f"name is {self.name!r}; it takes 3 to {LONGEST_NAME} of a-z, 0-9 and single hyphens, a letter first "
                "and no hyphen last, and must not start with 'aws' or 'ssm'"
            )
        if self.account is not None and not ACCOUNT.fullmatch(self.account):
            raise SettingsError(f"account is {self.account!r}; it takes the twelve digits of an AWS account")
        if self.region is not None and not REGION.fullmatch(self.region):
            raise SettingsError(f"region is {self.region!r}; it takes an AWS region, such as us-east-1")
        for name, lowest, highest in (
            ("max_read_units", 1, None),
            ("max_write_units", 1, None),
            ("provisioned_read_units", 1, None),
            ("provisioned_write_units", 1, None),
            ("memory_mb", 128, 10_240),
            ("timeout_seconds", 20, 900),
            ("batch_size", 1, 10_000),
            ("batching_window_seconds", 0, 300),
            ("parallelization_factor", 1, 10),
            ("retry_attempts", 0, 10_000),
            ("record_age_seconds", 60, 86_400),
            ("alarm_age_seconds", 1, 86_400),
            ("alarm_failures", 0, None),
            ("alarm_user_errors", 0, None),
            ("alarm_loop_factor", 1, None),
        ):
            _check_range(name, getattr(self, name), lowest, highest)
        if self.log_retention_days not in LOG_RETENTION_DAYS:
            raise SettingsError(
                f"log_retention_days is {self.log_retention_days}; CloudWatch Logs takes one of "
                f"{', '.join(map(str, LOG_RETENTION_DAYS))}"
            )
        if not TABLE_NAME.fullmatch(self.table_name):
            raise SettingsError(f"table_name is {self.table_name!r}; it takes 3 to 255 of A-Z, a-z, 0-9, '_', '-', '.'")
        if self.alarm_email is not None and not EMAIL.fullmatch(self.alarm_email):
            raise SettingsError(f"alarm_email is {self.alarm_email!r}; it takes an address, such as team@example.com")
        if self.delivery_repository is not None and not GITHUB_REPOSITORY.fullmatch(self.delivery_repository):
            raise SettingsError(
                f"delivery_repository is {self.delivery_repository!r}; it takes a repository of GitHub, as owner/name "
                "or owner@id/name@id (docs/delivery.md says which)"
            )
        if self.vpc_id is not None and not VPC_ID.fullmatch(self.vpc_id):
            raise SettingsError(f"vpc_id is {self.vpc_id!r}; it takes the id of a VPC, such as vpc-0123456789abcdef0")
        if not _is_vpc_cidr(self.vpc_cidr):
            raise SettingsError(
                f"vpc_cidr is {self.vpc_cidr!r}; it takes a private IPv4 range from /16 to /26, such as 10.86.0.0/24"
            )
        if self.subnet_ids and self.vpc_id is None:
            raise SettingsError("subnet_ids belong to a VPC that exists; name it with vpc_id")
        if self.stream_arn is not None and f":table/{self.table_name}/stream/" not in self.stream_arn:
            raise SettingsError(
                f"stream_arn is {self.stream_arn!r}; it takes the stream of the table {self.table_name!r}, as in "
                f"arn:aws:dynamodb:<region>:<account>:table/{self.table_name}/stream/<time>"
            )
        if self.billing == "provisioned" and (self.max_read_units or self.max_write_units):
            raise SettingsError(
                "max_read_units and max_write_units are ceilings of on-demand billing; with billing=provisioned "
                "set provisioned_read_units and provisioned_write_units"
            )
        for limit in ("alarm_age_seconds", "record_age_seconds"):
            if self.batching_window_seconds >= getattr(self, limit):
                raise SettingsError(
                    f"batching_window_seconds is {self.batching_window_seconds} and {limit} is {getattr(self, limit)}: "
                    "records would reach that age before they are processed; make the window shorter"
                )
        if self.stage == "prod" and self.seed and not self.seed_prod:
            raise SettingsError(
                "seed=true would write made-up conversations to prod; if you want that, add -c seed_prod=true"
            )
        if self.seed_prod and not (self.stage == "prod" and self.seed):
            raise SettingsError("seed_prod=true is only valid with stage=prod and seed=true; leave it out")
        if self.is_emulated and self.flow_logs:
            raise SettingsError("flow_logs=true does not work in the emulator, which has no flow logs; leave it out")
        if self.monitoring == "none" and self.alarm_email is not None:
            raise SettingsError("alarm_email needs alarms, and monitoring=none has none; leave one of them out")

    @property
    def is_emulated(self) -> bool:
        """Whether the stage is deployed to the emulator."""
        return self.stage == "local"

    @property
    def system(self) -> str:
        """The prefix of all fixed names, and the main stack's name: `cruddur-messages-dev`."""
        return f"{self.name}-{self.stage}"

    def stack_name(self, part: str | None = None) -> str:
        """The name of the stack of a part, such as `cruddur-messages-dev-table`; of the main stack without one."""
        return f"{self.system}-{part}" if part else self.system

    @property
    def seed_path(self) -> Path:
        """The file of the conversations to load."""
        return REPOSITORY / self.seed_file

    @property
    def seed_users_path(self) -> Path:
        """The file of the users who have these conversations."""
        return REPOSITORY / self.seed_users_file


def context_of_the_app() -> dict[str, Any]:
    """The context of cdk.json, which `-c` overrides: feature flags, and settings if somebody has added any."""
    context: dict[str, Any] = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    return context


def read(context: Mapping[str, Any]) -> Settings:
    """The settings from the context of the CDK app.

    Keys with a colon, an at sign or a slash, and those that the CDK CLI itself sets, are no settings and are ignored.
    Raises SettingsError for an unknown key, a value of the wrong type or range, and a contradiction.
    """
    given = {key: value for key, value in context.items() if _is_ours(key)}
    names = [field.name for field in dataclasses.fields(Settings)]
    for key in given:
        if key not in names:
            raise SettingsError(f"unknown setting {key!r}{_suggestion(key, names)}; known are {', '.join(names)}")
    stage = given.pop("stage", DEFAULT_STAGE)
    if stage not in STAGES:
        raise SettingsError(f"unknown stage {stage!r}{_suggestion(str(stage), STAGES)}; known are {', '.join(STAGES)}")
    types_of = typing.get_type_hints(Settings)
    # The default of `table_name` depends on the given `name`, so it is derived again.
    unnamed = {"table_name": ""} if "name" in given else {}
    converted = {key: _convert(key, value, types_of[key]) for key, value in given.items()}
    return dataclasses.replace(STAGES[stage], **unnamed | converted)


def _is_vpc_cidr(text: str) -> bool:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return False
    is_private = any(network.subnet_of(private) for private in PRIVATE_RANGES)
    return "/" in text and is_private and 16 <= network.prefixlen <= 26


def _is_ours(key: str) -> bool:
    return not any(mark in key for mark in ":@/") and key not in (
        "cli-telemetry",
        "acknowledged-issue-numbers",
        "cdk-migrate",
    )


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _check_range(name: str, value: int | None, lowest: int, highest: int | None) -> None:
    if value is None or (value >= lowest and (highest is None or value <= highest)):
        return
    span = f"at least {lowest}" if highest is None else f"{lowest} to {highest}"
    raise SettingsError(f"{name} is {value}; it takes {span}")


def _convert(name: str, value: object, wanted: Any) -> Any:
    """Convert a value from the command line or cdk.json to the type of the setting."""
    if get_origin(wanted) is types.UnionType:
        wanted = next(option for option in get_args(wanted) if option is not types.NoneType)
    if get_origin(wanted) is Literal:
        if value in get_args(wanted):
            return value
        raise SettingsError(
            f"{name} is {value!r}{_suggestion(str(value), get_args(wanted))}; it takes {', '.join(get_args(wanted))}"
        )
    if wanted is bool:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise SettingsError(f"{name} is {value!r}; it takes true or false")
    if wanted is int:
        try:
            return int(str(value))
        except ValueError:
            raise SettingsError(f"{name} is {value!r}; it takes a whole number") from None
    if get_origin(wanted) is tuple:
        return tuple(part.strip() for part in str(value).split(",") if part.strip())
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{name} is {value!r}; it takes a text")
    return value


STAGES: Mapping[str, Settings] = {
    settings.stage: settings
    for settings in (
        Settings(stage="local", seed=True, log_retention_days=1),
        Settings(stage="dev"),
        Settings(
            stage="prod",
            protect=True,
            flow_logs=True,
            log_retention_days=365,
            backend_batch_write=False,
            monitoring="full",
            alarm_age_seconds=60,
            alarm_failures=5,
            alarm_user_errors=20,
        ),
    )
}

DEFAULT_STAGE = "dev"
