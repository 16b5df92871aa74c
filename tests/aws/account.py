"""The account that the tests use: clients, the programs of this repository, and waiting."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from cruddur_cli.errors import NO_CREDENTIALS, REFUSED_CREDENTIALS
from cruddur_infra import REPOSITORY
from cruddur_local.waiting import wait_until
from cruddur_messages.dynamodb import error_code

TAG = "cruddur-aws-tests"
"""The tag of everything that the tests create; its value is the name of the run."""

DENIED = {"AccessDenied", "AWS.SimpleQueueService.AccessDenied", "UnauthorizedOperation"}
LOST = REFUSED_CREDENTIALS | {"AuthFailure", "OptInRequired", "RequestExpired"}

_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class Account:
    """Credentials, a region, and the name with which everything begins that the tests create.

    `environment` is that of the programs that they start in `repository`.
    """

    name: str
    region: str
    environment: Mapping[str, str]
    repository: Path = REPOSITORY

    @property
    def is_emulator(self) -> bool:
        """Whether this is not AWS."""
        return "AWS_ENDPOINT_URL" in self.environment

    @cached_property
    def session(self) -> boto3.Session:
        """The credentials."""
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
        key, secret, token, profile = (self.environment.get(name) for name in names)
        return boto3.Session(key, secret, token, self.region, profile_name=profile)

    @cached_property
    def number(self) -> str:
        """The account's twelve digits."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def client(self, service: str, session: boto3.Session | None = None) -> Any:
        """A client, with the credentials of the run if no others are given."""
        create: Any = (session or self.session).client
        options: Any = {"ignore_configured_endpoint_urls": not self.is_emulator}
        config = Config(retries={"mode": "standard", "total_max_attempts": 8}, **options)
        endpoint, trusted = (self.environment.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"))
        return create(service, endpoint_url=endpoint, verify=trusted, config=config)

    def pages(self, service: str, operation: str, key: str, **asked: Any) -> list[Any]:
        """All results of a paginated operation."""
        pages = self.client(service).get_paginator(operation).paginate(**asked)
        return [one for page in pages for one in page.get(key, [])]

    def physical_ids(self, stack: str, resource_type: str) -> list[str]:
        """The physical ids of the resources of a type in a stack."""
        found = self.pages("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack)
        return [one["PhysicalResourceId"] for one in found if one["ResourceType"] == resource_type]

    def run(self, *command: str) -> tuple[int, str]:
        """Run a program and return its exit status and all of its output."""
        search_path = os.pathsep.join([str(Path(sys.executable).parent), self.environment.get("PATH", "")])
        environment = {**self.environment, "PATH": search_path, "AWS_REGION": self.region}
        shared: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        ended = subprocess.run(command, cwd=self.repository, env=environment, text=True, check=False, **shared)
        return ended.returncode, ended.stdout

    def within(self, minutes: float, what: str, look: Callable[[], _Found]) -> _Found:
        """Call `look` until it returns something true, and return that; the test fails if that takes too long."""
        found = wait_until(look, within_seconds=60 * minutes, pause_seconds=0.3 if self.is_emulator else 5)
        assert found, f"not within {minutes:g} minutes: {what}"
        return found


def is_denied(call: Callable[[], object]) -> bool:
    """Whether a call is denied; other errors are raised."""
    try:
        call()
    except ClientError as error:
        codes = {error_code(error), *(one.get("Code", "") for one in error.response.get("CancellationReasons", []))}
        if DENIED.isdisjoint(one.removesuffix("Exception") for one in codes):
            raise
        return True
    return False


def is_lost(error: BaseException) -> bool:
    """Whether the credentials are missing, or no longer accepted, so that no test can go on."""
    return isinstance(error, NO_CREDENTIALS) or (isinstance(error, ClientError) and error_code(error) in LOST)
