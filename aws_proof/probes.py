"""The calls and probes of tests/policies, as requests to judge."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.policies.authorization import Policies, Request


@dataclass(frozen=True)
class Cases:
    """The policies of a stage, what they have to allow and what they have to deny."""

    policies: "Policies"
    allowed: "list[Request]"
    denied: "list[Request]"


def cases(stage: str) -> Cases:
    """All of a stage; the calls are recorded on an engine of this machine."""
    # The handler, which is recorded, makes its client when it is imported.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    from cruddur_cli import table_definition
    from cruddur_cli.smoke import smoke_uuid
    from tests.engines import ministack, tables
    from tests.engines.fixtures import CruddurTable, free_port
    from tests.policies.conftest import case_of
    from tests.policies.scenarios import record_all

    with tempfile.TemporaryDirectory() as folder, ministack.running(free_port(), Path(folder)) as endpoint:

        def table() -> CruddurTable:
            client, name = tables.dynamodb(endpoint), f"recorded-{smoke_uuid()}"
            table_definition.create(client, name)
            return CruddurTable("", endpoint, client, name)

        found = case_of(stage, record_all(table))
    return Cases(found.policies, found.allowed, found.denied)
