"""The calls and probes of tests/policies, as requests to judge."""

import os
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.policies.conftest import Case


def cases(stage: str) -> "Case":
    """The policies of a stage as synthesized, and the requests that they must allow and deny.

    The calls are recorded on an engine of this machine.
    """
    # The handler, whose calls are recorded, creates its client on import.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    from cruddur_cli import table_definition
    from cruddur_cli.smoke.talk import smoke_uuid
    from tests.engines import ministack, tables
    from tests.engines.fixtures import CruddurTable, free_port
    from tests.policies.conftest import case_of
    from tests.policies.scenarios import record_all

    with tempfile.TemporaryDirectory() as folder, ministack.running(free_port(), Path(folder)) as endpoint:

        def table() -> CruddurTable:
            client, name = tables.dynamodb(endpoint), f"recorded-{smoke_uuid()}"
            table_definition.create(client, name)
            return CruddurTable("", endpoint, client, name)

        # The projection prints its log lines.
        with redirect_stdout(StringIO()):
            recording = record_all(table)
    return case_of(stage, recording)
