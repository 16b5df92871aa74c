"""The account of a run: clients, the CDK CLI, bin/ddb, made-up people, and waiting."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from aws_proof.claims import DiffersError
from aws_proof.journal import Borrowed, Journal
from cruddur_cli.smoke import runs
from cruddur_cli.smoke.place import Place
from cruddur_cli.smoke.report import Report
from cruddur_local.paths import CDK_CLI, LOCAL, REPOSITORY

FOLDER = LOCAL / "aws-proof"
TAG = "cruddur-aws-proof"
EMULATOR_STAGE = "local"

LATE_SECONDS = 60.0
PAUSE_SECONDS = 5.0
PAUSE_SECONDS_ON_EMULATOR = 0.3

QUICK_TO_FAIL = {"retry_attempts": "2", "record_age_seconds": "120", "alarm_failures": "0"}
"""Limits so small that failed records are in the queue, and alarms start, within minutes."""

_Found = TypeVar("_Found")


@dataclass
class World:
    """Everything that a step may touch. `environment` is that of the programs which it starts."""

    journal: Journal
    say: Callable[[str], None]
    environment: Mapping[str, str]
    is_rehearsal: bool = False
    stage: str = "dev"
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    notes: dict[str, Any] = field(default_factory=dict)
    """Values that a step passes to later steps of its phase."""
    _making_clients: Lock = field(default_factory=Lock)

    @property
    def system(self) -> str:
        """The name of the main stack and prefix of all other names."""
        return f"{self.journal.name}-{self.stage}"

    @property
    def table_name(self) -> str:
        """The table's name, which is the run's."""
        return self.journal.name

    @cached_property
    def session(self) -> boto3.Session:
        """The credentials of the run."""
        given = self.environment
        return boto3.Session(
            aws_access_key_id=given.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=given.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=given.get("AWS_SESSION_TOKEN"),
            profile_name=given.get("AWS_PROFILE"),
            region_name=self.journal.region,
        )

    def client(self, service: str) -> Any:
        """A client with the run's own credentials."""
        return self.client_of(self.session, service)

    def client_of(self, session: boto3.Session, service: str) -> Any:
        """A client with other credentials."""
        create: Any = session.client
        endpoint = self.environment.get("AWS_ENDPOINT_URL")
        options: dict[str, Any] = {
            "retries": {"mode": "standard", "total_max_attempts": 8},
            "ignore_configured_endpoint_urls": endpoint is None,
        }
        trust = {"verify": self.environment["AWS_CA_BUNDLE"]} if "AWS_CA_BUNDLE" in self.environment else {}
        # A session is for one thread at a time, and people may write in another (updates.py).
        with self._making_clients:
            return create(service, endpoint_url=endpoint, config=Config(**options), **trust)

    def deploy(self, **settings: str) -> float:
        """Run `cdk deploy --all` of the stage, tagged, and return how many seconds it took."""
        self.journal.make("system", self.system)
        begun = self.clock()
        self.cdk("deploy", "--all", "--require-approval=never", f"--tags={TAG}={self.journal.name}", **settings)
        return self.clock() - begun

    def cdk(self, *words: str, **settings: str) -> None:
        """Run the CDK CLI on this system. Raises DiffersError with the most useful line of its output."""
        fixed = {"name": self.journal.name, "stage": self.stage, "seed": "false", **QUICK_TO_FAIL}
        if not self.is_rehearsal:
            fixed |= {"account": self.journal.account, "region": self.journal.region, "monitoring": "full"}
        context = [f"--context={name}={value}" for name, value in (fixed | settings).items()]
        status, printed = self.run(str(CDK_CLI), *words, *context, f"--output={FOLDER / 'cdk.out'}", "--ci")
        if status:
            log = FOLDER / f"{self.system}-{words[0]}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(printed)
            raise DiffersError(f"cdk {words[0]} failed: {_reason(printed)} (all of it: {log})")

    def ddb(self, *words: str) -> tuple[int, Any]:
        """Run bin/ddb on the table and return its exit status and its JSON output."""
        place = [] if self.is_rehearsal else ["--prod"]
        status, printed = self.run("bin/ddb", *words, "--json", *place, "--table", self.table_name)
        try:
            return status, json.loads(printed[printed.index("{") :])
        except ValueError:
            return status, " ".join(printed.split())

    def run(self, *command: str) -> tuple[int, str]:
        """Run a program and return its exit status, 127 where it is not installed, and all of its output."""
        search_path = os.pathsep.join([str(Path(sys.executable).parent), self.environment.get("PATH", "")])
        try:
            ended = subprocess.run(  # noqa: S603
                command,
                cwd=REPOSITORY,
                env={**self.environment, "PATH": search_path, "AWS_REGION": self.journal.region},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            return 127, str(error)
        return ended.returncode, ended.stdout

    def smoke(self, *, messages: int, limit_seconds: float = LATE_SECONDS) -> Report:
        """Run the smoke test."""
        place = Place(self.client("dynamodb"), self.table_name)
        return runs.talk(place, messages=messages, limit_seconds=limit_seconds)

    def require_smoke(self, messages: int = 10, limit_seconds: float = LATE_SECONDS) -> str:
        """The same, as text. Raises DiffersError if a message is late or anything else is wrong."""
        report = self.smoke(messages=messages, limit_seconds=limit_seconds)
        if report.problems:
            raise DiffersError("; ".join(report.problems))
        return f"{messages} messages into every inbox, median {report.median:.2f} s, largest {report.largest:.2f} s"

    def wait(self, what: str, look: Callable[[], _Found | None], *, minutes: float) -> _Found:
        """Call `look` until it returns something, and return that. Raises DiffersError if that takes too long."""
        deadline = self.clock() + minutes * 60
        while (found := look()) is None:
            if self.clock() > deadline:
                raise DiffersError(f"{what}: not within {minutes:g} minutes")
            self.sleep(PAUSE_SECONDS_ON_EMULATOR if self.is_rehearsal else PAUSE_SECONDS)
        return found

    def outputs(self) -> Mapping[str, str]:
        """The outputs of the main stack."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=self.system)["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}

    def physical_id(self, resource_type: str) -> str:
        """The physical id of the only resource of a type in the main stack."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.system)
        found = [one for page in pages for one in page["StackResourceSummaries"]]
        (only,) = [one["PhysicalResourceId"] for one in found if one["ResourceType"] == resource_type]
        return str(only)

    def mapping(self) -> Mapping[str, Any]:
        """The event source mapping."""
        found = self.client("lambda").list_event_source_mappings(FunctionName=f"{self.system}-projection")
        (only,) = found["EventSourceMappings"]
        return dict(only)

    @property
    def role_name(self) -> str:
        """The projection's role."""
        return f"{self.system}-projection-{self.journal.region}"

    @property
    def probe_name(self) -> str:
        """The role that probes the projection's policy."""
        return f"{self.system}-probe"

    @property
    def notices_name(self) -> str:
        """The queue that is notified of alarms."""
        return f"{self.system}-notices"

    def role_policy(self) -> tuple[str, dict[str, Any]]:
        """Name and text of the projection's one inline policy."""
        iam = self.client("iam")
        (name,) = iam.list_role_policies(RoleName=self.role_name)["PolicyNames"]
        found = iam.get_role_policy(RoleName=self.role_name, PolicyName=name)["PolicyDocument"]
        return name, dict(found if isinstance(found, dict) else json.loads(found))

    def set_role_policy(self, policy_name: str, document: Mapping[str, Any]) -> None:
        """Replace the policy until `give_back`."""
        name, before = self.role_policy()
        self._borrow("role-policy", f"{self.role_name}/{name}", json.dumps(before))
        self.client("iam").put_role_policy(
            RoleName=self.role_name, PolicyName=policy_name, PolicyDocument=json.dumps(document)
        )

    def set_endpoint_policy(self, document: Mapping[str, Any]) -> None:
        """Change the policy of the gateway endpoint until `give_back`."""
        endpoint = self.physical_id("AWS::EC2::VPCEndpoint")
        ec2 = self.client("ec2")
        (found,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
        self._borrow("endpoint-policy", endpoint, found["PolicyDocument"])
        ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PolicyDocument=json.dumps(document))

    def give_back(self) -> None:
        """Restore everything that was changed."""
        for borrowed in list(self.journal.borrowed):
            match borrowed.kind:
                case "role-policy":
                    role, _, name = borrowed.name.partition("/")
                    self.client("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=borrowed.before)
                case "endpoint-policy":
                    self.client("ec2").modify_vpc_endpoint(VpcEndpointId=borrowed.name, PolicyDocument=borrowed.before)
            self.journal.borrowed.remove(borrowed)
            self.journal.save()

    def _borrow(self, kind: str, name: str, before: str) -> None:
        if all((one.kind, one.name) != (kind, name) for one in self.journal.borrowed):
            self.journal.borrowed.append(Borrowed(kind, name, before))
            self.journal.save()


def code(error: ClientError) -> str:
    """The error code of a response of AWS."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_denied(call: Callable[[], object]) -> bool:
    """Whether AWS denies a call; other errors are raised."""
    try:
        call()
    except ClientError as error:
        reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
        if code(error).removesuffix("Exception") in {"AccessDenied", "AWS.SimpleQueueService.AccessDenied"}:
            return True
        if "AccessDenied" in reasons:
            return True
        raise
    return False


def _reason(printed: str) -> str:
    """The most useful line: our own error, else CDK's line on a failed deployment, else the last one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    for mark in ("error: ", "CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED", "Error: ", "❌"):
        for line in lines:
            if mark in line:
                return line
    return lines[-1] if lines else "it printed nothing"
