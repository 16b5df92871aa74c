"""Counts the capacity units that calls consume, and limits them per second."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel

READS = frozenset({"BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems"})
ASKED_FOR = "ReturnConsumedCapacity"


class CapacityMeter:
    """Counts the capacity units that clients consume, and delays calls where there is a limit.

    `units_per_second` limits reads and writes together. A call waits until the units of earlier calls are paid off.
    Safe to share between threads.
    """

    def __init__(
        self,
        units_per_second: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.read_units = 0.0
        self.write_units = 0.0
        self.calls: Counter[str] = Counter()
        self._rate = units_per_second
        self._free_at = clock()
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()

    def attach(self, client: "BaseClient") -> None:
        """Count the calls of a DynamoDB client from now on."""
        ask: Callable[..., Any] = self._ask
        client.meta.events.register("provide-client-params.dynamodb", ask)
        client.meta.events.register("before-call.dynamodb", self._wait)
        client.meta.events.register("after-call.dynamodb", self._count)

    def consume(self, operation: str, consumed: object) -> None:
        """Count the ConsumedCapacity of a response: a mapping, or a list of mappings."""
        entries = consumed if isinstance(consumed, list) else [consumed]
        units = sum(float(entry.get("CapacityUnits", 0)) for entry in entries if isinstance(entry, Mapping))
        with self._lock:
            self.calls[operation] += 1
            if operation in READS:
                self.read_units += units
            else:
                self.write_units += units
            if self._rate is not None:
                self._free_at = max(self._free_at, self._clock()) + units / self._rate

    def __str__(self) -> str:
        calls = ", ".join(f"{count} {operation}" for operation, count in sorted(self.calls.items())) or "no call"
        return f"{self.read_units:g} read units, {self.write_units:g} write units ({calls})"

    def _ask(self, params: dict[str, Any], model: "OperationModel", **_: Any) -> dict[str, Any]:
        takes_it = model.input_shape is not None and ASKED_FOR in model.input_shape.members
        return {**params, ASKED_FOR: "TOTAL"} if takes_it else params

    def _wait(self, **_: Any) -> None:
        with self._lock:
            wait = self._free_at - self._clock() if self._rate is not None else 0.0
        if wait > 0:
            self._sleep(wait)

    def _count(self, model: "OperationModel", parsed: Mapping[str, Any], **_: Any) -> None:
        self.consume(model.name, parsed.get("ConsumedCapacity"))
