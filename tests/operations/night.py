"""A system at night: a table, the projection behind a mapping that follows Lambda's rules, and bin/ddb."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cruddur_messages.projection import handler as stream_handler
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import BetweenCalls, person
from tests.cli.conftest import Result, run_process
from tests.engines.fixtures import CruddurTable
from tests.projection.event_source_mapping import Lane
from tests.projection.poller import Poller
from tests.seed.faults import client_error

RETRIES = 2
ANN, BO = person("ann"), person("bo")


class RefusingClient(BetweenCalls):
    """Refuses every write while `code` is set, and counts them."""

    def __init__(self, client: Any) -> None:
        super().__init__(client, before=self._refuse)
        self.code: str | None = None
        self.refused = 0

    def _refuse(self, _number: int, operation: str) -> None:
        if self.code and operation in ("transact_write_items", "update_item"):
            self.refused += 1
            raise client_error(self.code, operation)


@dataclass
class Night:
    """A table with its stream, the projection behind a mapping, its log, and bin/ddb."""

    table: CruddurTable
    store: MessageStore
    client: RefusingClient
    lane: Lane
    poller: Poller
    stream_arn: str
    printed: Callable[[], str]
    environment: dict[str, str]
    folder: Path

    def handler(self, event: dict[str, Any]) -> Any:
        """The stream handler on this table, with short pauses."""
        client: Any = self.client
        return stream_handler.respond(
            event, client=client, table_name=self.table.name, seconds=30.0, sleep=lambda s: time.sleep(s / 100)
        )

    def deliver(self, times: int = 1) -> list[str]:
        """Fetch new records, deliver this many batches, and return the lines that the projection has logged."""
        self.poller.poll()
        for _ in range(times):
            self.poller.deliver(self.handler)
        return [line for line in self.printed().splitlines() if line.startswith("{")]

    def ddb(self, *words: str) -> Result:
        """Run bin/ddb on the table."""
        return run_process(self.environment, *words, "--table", self.table.name, cwd=self.folder)

    def preview(self, group: str) -> str:
        """The preview of a conversation in Ann's inbox."""
        (row,) = [row for row in self.store.list_conversations(ANN.uuid).items if row.message_group_uuid == group]
        return row.message
