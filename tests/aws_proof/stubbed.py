"""An account with responses that a test writes, in the form that AWS documents: botocore's Stubber refuses others."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.stub import Stubber

from aws_proof.journal import Journal
from aws_proof.world import World
from cruddur_cli.smoke.report import Report

ACCOUNT, REGION, NAME = "111122223333", "eu-north-1", "proof-run"
SECONDS_A_PAUSE = 400.0
"""So long that a wait of minutes looks only once or twice."""


@dataclass
class Responses:
    """One stubbed client for each service. The next call takes the next response, and must be of the same operation."""

    stubbers: dict[str, Stubber] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """The client of a service."""
        return self._of(service).client

    def add(self, service: str, operation: str, response: Mapping[str, Any] | None = None, times: int = 1) -> None:
        """Return this response to an operation, such as `describe_stacks`."""
        for _ in range(times):
            self._of(service).add_response(operation, dict(response or {}))

    def refuse(self, service: str, operation: str, error_code: str, message: str = "no") -> None:
        """Return an error to an operation."""
        self._of(service).add_client_error(operation, error_code, message)

    def are_used_up(self) -> None:
        """Raise AssertionError if a response was not used."""
        for stubber in self.stubbers.values():
            stubber.assert_no_pending_responses()

    def end(self) -> None:
        """Release the clients."""
        for stubber in self.stubbers.values():
            stubber.deactivate()

    def _of(self, service: str) -> Stubber:
        if service not in self.stubbers:
            self.stubbers[service] = Stubber(_client(service))
            self.stubbers[service].activate()
        return self.stubbers[service]


@functools.cache
def _client(service: str) -> Any:
    """Creating a client takes long, so all tests of a process share them."""
    create: Any = boto3.Session("key", "secret", region_name=REGION).client
    return create(service)


@dataclass
class StubbedWorld(World):
    """A world with stubbed clients, a clock of its own, and programs that print what a test sets."""

    responses: Responses = field(default_factory=Responses)
    programs: list[tuple[int, str]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        """The stubbed client."""
        return self.responses.client(service)

    def client_of(self, session: boto3.Session, service: str) -> Any:  # noqa: ARG002
        """The stubbed client, whatever the session."""
        return self.responses.client(service)

    def run(self, *command: str) -> tuple[int, str]:
        """The next response of a program."""
        self.ran.append(" ".join(command))
        return self.programs.pop(0)

    def smoke(self, *, messages: int, limit_seconds: float = 0) -> Report:  # noqa: ARG002
        """The next report."""
        return self.reports.pop(0)


def world_in(folder: Path, said: list[str] | None = None) -> StubbedWorld:
    """A world with a journal in a folder."""
    now = [0.0]

    def sleep(_: float) -> None:
        now[0] += SECONDS_A_PAUSE

    say: Callable[[str], None] = (said if said is not None else []).append
    return StubbedWorld(
        Journal(folder / "journal.json", NAME, ACCOUNT, REGION, "2026-11-21T10:00:00+00:00"),
        say=say,
        environment={"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"},
        clock=lambda: now[0],
        sleep=sleep,
    )


def works(delays: Sequence[float] = (0.4, 0.6)) -> Report:
    """The report of a system that works."""
    return Report(list(delays))


def late() -> Report:
    """The report of a system that does not work."""
    return Report([], ["late: message 1 is not in the inbox of ann after 60 s"])
