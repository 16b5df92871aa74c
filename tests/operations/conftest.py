"""The system of the rehearsals."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cruddur_messages.projection.filters import patterns
from tests.access_patterns.people import store_of
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.operations.night import RETRIES, Night, RefusingClient
from tests.projection.event_source_mapping import Lane
from tests.projection.poller import Poller


@pytest.fixture
def night(
    ministack_endpoint: str,
    cruddur_table_on: Callable[[str], CruddurTable],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Night:
    table = cruddur_table_on(ministack_endpoint)
    client = RefusingClient(table.client)
    stream_arn = table.client.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
    lane = Lane(retries=RETRIES)
    poller = Poller(
        streams=tables.streams(table.endpoint),
        stream_arn=stream_arn,
        patterns=patterns(),
        lanes=[lane],
        batch_size=10,
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DATABASE_"))}
    environment = kept | {
        "AWS_ENDPOINT_URL_DYNAMODB": table.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    return Night(
        table, store_of(table), client, lane, poller, stream_arn, lambda: capsys.readouterr().out, environment, tmp_path
    )
