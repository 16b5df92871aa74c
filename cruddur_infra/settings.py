"""The settings of a stage, as one frozen value: each with its default, its limits, and the words of its refusal."""

import ipaddress
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cruddur_infra import REPOSITORY
from cruddur_messages import schema
from cruddur_messages.canary import RESERVE_SECONDS

SEED_DATA = "lambda/cruddur_messages/seed/data"

LONGEST_NAME = 32
LONGEST_NAME_AND_STAGE = LONGEST_NAME + len("local")

CANARY_MINUTES = (0, 5, 10, 15, 20, 30, 60)
"""Whole parts of an hour, so that the schedule and the alarm's periods stay in step; 0 is off."""

LONGEST_FUNCTION_SECONDS = 900
"""Lambda's limit (Developer Guide, "Lambda quotas")."""

ZONE = re.compile(r"[a-z]{2,4}(-[a-z0-9]+)+[a-z]")

NAME = re.compile(rf"(?!aws|ssm)(?=.{{3,{LONGEST_NAME}}}$)[a-z](-?[a-z0-9])*")
"""`name` is part of several names and must fit all of them. A table's name has at least three characters. A role's name
has at most 64 with stage, part and region (IAM User Guide, "IAM and AWS STS quotas"), which leaves 32. A stack's name
has letters, digits and hyphens, and starts with a letter (CloudFormation API reference, "CreateStack"). The name of a
parameter must not start with 'aws' or 'ssm' (Systems Manager API reference, "PutParameter")."""

TABLE_NAME = r"[A-Za-z0-9_.-]{3,255}"
"""DynamoDB's rule for table names (Developer Guide, "Naming rules")."""

GITHUB_REPOSITORY = r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+|[A-Za-z0-9-]+@\d+/[A-Za-z0-9._-]+@\d+"
"""A repository as the subject of GitHub's tokens names it, since July 2026 with the ids of owner and repository
(GitHub Docs, "OpenID Connect reference", "Immutable subject claims")."""

PRIVATE_RANGES = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""RFC 1918."""

_DAYS = "1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653"
LOG_RETENTION_DAYS = tuple(map(int, _DAYS.split()))
"""The retention periods of CloudWatch Logs (API reference, "PutRetentionPolicy")."""


class SettingsError(ValueError):
    """A setting is wrong; the text is one line that says which, with what value, and what to do."""


@dataclass(frozen=True)
class Limit:
    """What a setting takes: a test of the value, and the words that say so."""

    fits: Callable[[Any], object]
    takes: str


def between(lowest: int, highest: int | None = None) -> Limit:
    """A number in a range, ends included; without `highest`, no end."""
    if highest is None:
        return Limit(lambda value: value >= lowest, f"at least {lowest}")
    return Limit(lambda value: lowest <= value <= highest, f"{lowest} to {highest}")


def matching(pattern: str | re.Pattern[str], takes: str) -> Limit:
    """A text that matches a pattern as a whole."""
    return Limit(re.compile(pattern).fullmatch, takes)


def _is_vpc_cidr(text: str) -> bool:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return False
    is_private = any(network.subnet_of(private) for private in PRIVATE_RANGES)
    return "/" in text and is_private and 16 <= network.prefixlen <= 26


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a stage, described in docs/settings.md: defaults, then those of its section in stages.toml."""

    stage: Annotated[str, matching("[a-z][a-z0-9]*", "lower-case letters and digits, a letter first")]
    name: Annotated[
        str,
        matching(
            NAME,
            f"3 to {LONGEST_NAME} of a-z, 0-9 and single hyphens, a letter first and no hyphen last, "
            "and must not start with 'aws' or 'ssm'",
        ),
    ] = schema.TABLE_NAME
    account: Annotated[str | None, matching(r"\d{12}", "the twelve digits of an AWS account")] = None
    region: Annotated[str | None, matching(r"[a-z]{2,4}(-[a-z]+){1,2}-\d", "an AWS region, such as us-east-1")] = None

    table_name: Annotated[str, matching(TABLE_NAME, "3 to 255 of A-Z, a-z, 0-9, '_', '-', '.'")] = schema.TABLE_NAME
    stream_arn: str | None = None
    billing: Literal["on-demand", "provisioned"] = "on-demand"
    max_read_units: Annotated[int | None, between(1)] = None
    max_write_units: Annotated[int | None, between(1)] = None
    provisioned_read_units: Annotated[int, between(1)] = 5
    provisioned_write_units: Annotated[int, between(1)] = 5
    encryption: Literal["aws-owned", "aws-managed", "customer-managed"] = "aws-owned"
    point_in_time_recovery: bool = True
    protect: bool = True

    vpc_id: Annotated[str | None, matching(r"vpc-[0-9a-f]{8,17}", "the id of a VPC, such as vpc-0123456789abcdef0")] = (
        None
    )
    subnet_ids: tuple[str, ...] = ()
    zones: Annotated[
        tuple[str, ...],
        Limit(
            lambda zones: not zones or (len(zones) == len(set(zones)) == 2 and all(map(ZONE.fullmatch, zones))),
            "two availability zones of the region, such as us-east-1a and us-east-1b",
        ),
    ] = ()
    vpc_cidr: Annotated[str, Limit(_is_vpc_cidr, "a private IPv4 range from /16 to /26, such as 10.86.0.0/24")] = (
        "10.86.0.0/24"
    )
    flow_logs: bool = False

    runtime: Literal["python3.14", "python3.13", "python3.12"] = "python3.14"
    architecture: Literal["arm64", "x86_64"] = "arm64"
    memory_mb: Annotated[int, between(128, 10_240)] = 512
    timeout_seconds: Annotated[int, between(20, 900)] = 60
    batch_size: Annotated[int, between(1, 10_000)] = 100
    batching_window_seconds: Annotated[int, between(0, 300)] = 0
    parallelization_factor: Annotated[int, between(1, 10)] = 1
    retry_attempts: Annotated[int, between(0, 10_000)] = 10_000
    record_age_seconds: Annotated[int, between(60, 86_400)] = 43_200
    log_retention_days: Annotated[
        int, Limit(LOG_RETENTION_DAYS.__contains__, f"one of {', '.join(_DAYS.split())}, as CloudWatch Logs does")
    ] = 14

    backend_changes: bool = True
    backend_batch_write: bool = True
    keep_days: Annotated[int, between(0, 36_500)] = 0

    monitoring: Literal["none", "essential", "full"] = "essential"
    alarm_email: Annotated[
        str | None, matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an address, such as team@example.com")
    ] = None
    alarm_age_seconds: Annotated[int, between(1, 86_400)] = 300
    alarm_failures: Annotated[int, between(0)] = 5
    alarm_user_errors: Annotated[int, between(0)] = 100
    alarm_loop_factor: Annotated[int, between(1)] = 10
    canary_minutes: Annotated[
        int, Limit(CANARY_MINUTES.__contains__, f"one of {', '.join(map(str, CANARY_MINUTES))}; 0 is off")
    ] = 60

    bootstrap_qualifier: Annotated[
        str | None, matching(r"[a-z0-9]{1,10}", "1 to 10 of a-z and 0-9, as given to cdk bootstrap --qualifier")
    ] = None
    delivery_repository: Annotated[
        str | None,
        matching(
            GITHUB_REPOSITORY, "a repository of GitHub, as owner/name or owner@id/name@id (docs/delivery.md says which)"
        ),
    ] = None

    audit_days: Annotated[int, between(0, 6)] = 0
    audit_key_arn: str | None = None

    seed: bool = False
    seed_protected: bool = False
    seed_file: str = f"{SEED_DATA}/conversations.txt"
    seed_users_file: str = f"{SEED_DATA}/users.json"

    def __post_init__(self) -> None:
        """Refuse values beyond their limits, and values that contradict each other; stages.py has checked the types."""
        for name, annotation in typing.get_type_hints(Settings, include_extras=True).items():
            value = getattr(self, name)
            for limit in getattr(annotation, "__metadata__", ()):
                if value is not None and not limit.fits(value):
                    raise SettingsError(f"{name} is {value!r}; it takes {limit.takes}")
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if len(self.name) + len(self.stage) > LONGEST_NAME_AND_STAGE:
            raise SettingsError(
                f"name is {self.name!r} and the stage {self.stage!r}; together they take {LONGEST_NAME_AND_STAGE} "
                "characters at most, so that the names of roles fit"
            )
        if self.zones and self.vpc_id is not None:
            raise SettingsError("zones belong to the app's own VPC, and vpc_id names another; leave one of them out")
        if self.region is not None and not all(zone.startswith(self.region) for zone in self.zones):
            raise SettingsError(f"zones are {', '.join(self.zones)}; they take zones of the region {self.region}")
        if self.subnet_ids and self.vpc_id is None:
            raise SettingsError("subnet_ids belong to a VPC that exists; name it with vpc_id")
        here = rf"{self.region or '[a-z0-9-]+'}:{self.account or '[0-9]{12}'}"
        as_in = f"{self.region or '<region>'}:{self.account or '<account>'}"
        stream = rf"arn:[a-z-]+:dynamodb:{here}:table/{re.escape(self.table_name)}/stream/[0-9A-Z:.-]+"
        if self.stream_arn is not None and not re.fullmatch(stream, self.stream_arn):
            raise SettingsError(
                f"stream_arn is {self.stream_arn!r}; it takes the stream of the table {self.table_name!r}, as in "
                f"arn:aws:dynamodb:{as_in}:table/{self.table_name}/stream/<time>"
            )
        if self.audit_key_arn is not None and not re.fullmatch(rf"arn:[a-z-]+:kms:{here}:key/.+", self.audit_key_arn):
            raise SettingsError(
                f"audit_key_arn is {self.audit_key_arn!r}; it takes the ARN of a KMS key, as in "
                f"arn:aws:kms:{as_in}:key/<id>"
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
        if self.protect and self.seed and not self.seed_protected:
            raise SettingsError(
                f"seed=true would write made-up conversations to {self.stage}, which is protected; if you want that, "
                "add seed_protected=true"
            )
        if self.seed_protected and not (self.protect and self.seed):
            raise SettingsError("seed_protected=true is only valid with protect=true and seed=true; leave it out")
        if self.is_emulated and self.flow_logs:
            raise SettingsError("flow_logs=true does not work in the emulator, which has no flow logs; leave it out")
        # With stream_arn the table is not ours, nor its recovery and its key.
        if self.audit_days and not self.point_in_time_recovery and self.stream_arn is None:
            raise SettingsError("audit_days needs exports, and these point_in_time_recovery: leave it on")
        if self.audit_key_arn and not self.audit_days:
            raise SettingsError("audit_key_arn is only used with audit_days; leave it out")
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
    def canary_wait_seconds(self) -> int:
        """How long the canary waits for the inboxes: as late as they may be, and never into its next run."""
        next_run = self.canary_minutes * 60 - RESERVE_SECONDS
        return min(self.alarm_age_seconds, next_run - RESERVE_SECONDS, LONGEST_FUNCTION_SECONDS - RESERVE_SECONDS)

    @property
    def seed_path(self) -> Path:
        """The file of the conversations to load."""
        return REPOSITORY / self.seed_file

    @property
    def seed_users_path(self) -> Path:
        """The file of the users who have these conversations."""
        return REPOSITORY / self.seed_users_file
