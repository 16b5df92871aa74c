"""The cost of both versions of the projection in the simulation's schedules: calls and write units for each record.

Left out are the schedules' parts that the first version did not promise anything for: rows that are put, moved or
deleted by hand, restored tables, and an index that never shows anything new. Its promises are not checked here.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from cruddur_messages import schema
from tests.projection import choices, simulation
from tests.projection.invocations import FaultyClient, Invocation, current_thread
from tests.projection.memory_engine import MemoryEngine
from tests.projection.simulation import Simulation

SCHEDULES = 500
NEVER = {"ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(pk)"}

Run = Callable[[Invocation], None]


@dataclass(frozen=True)
class CostOfSchedules:
    """Calls and write units for each record of the stream that passed the filter."""

    calls: float
    write_units: float


def measure(run: Run | None = None) -> CostOfSchedules:
    """Play the schedules with the present projection, or with `run` instead."""
    counts: Counter[str] = Counter()

    class Engine(MemoryEngine):
        """Counts write units, and supports the condition checks of the first version."""

        def update_item(self, **arguments: Any) -> dict[str, Any]:
            counts["units"] += 1
            return super().update_item(**arguments)

        def _prepared(self, actions: list[dict[str, Any]]) -> Any:
            counts["units"] += 2 * len(actions)
            return super()._prepared([self._without_condition_check(action) for action in actions])

        def _without_condition_check(self, action: dict[str, Any]) -> dict[str, Any]:
            body = action.get("ConditionCheck")
            if body is None:
                return action
            item = self.items.get((body["Key"]["pk"]["S"], body["Key"]["sk"]["S"]))
            condition = {name: value for name, value in body.items() if name not in ("Key", "TableName")}
            if condition["ConditionExpression"].startswith("NOT (attribute_type("):
                shows_something = all("S" in (item or {}).get(name, {}) for name in ("message", "message_uuid"))
                condition = NEVER if shows_something else {}
            return (
                {"Delete": {"Key": body["Key"], **condition}} if item is None else {"Put": {"Item": item, **condition}}
            )

    class Client(FaultyClient):
        """Counts calls."""

        def _call(self, *arguments: Any) -> Any:
            counts["calls"] += 1
            return super()._call(*arguments)

    with (
        patch.object(simulation, "MemoryEngine", Engine),
        patch.object(simulation, "FaultyClient", Client),
        patch.object(Invocation, "_run", run or Invocation._run),
    ):
        for number in range(SCHEDULES):
            played = _Unchecked(_schedule(number))
            played.play()
            counts["records"] += played.records
    return CostOfSchedules(counts["calls"] / counts["records"], counts["units"] / counts["records"])


@contextmanager
def first_version(module: Any) -> Iterator[Run]:
    """An invocation of the first version's handler module, with the simulation's clock and threads."""
    new_projection = module.Projection

    def run(invocation: Invocation) -> None:
        module._dynamodb = invocation._world.client
        module.Projection = partial(
            new_projection,
            sleep=lambda seconds: current_thread().invocation.wait(seconds),
            draw=lambda: 0.5,
            max_actions=invocation._world.max_actions,
        )
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: invocation._available * 1000)
        invocation.response = module.handler({"Records": invocation.records}, context)
        invocation.ended = True

    clock = SimpleNamespace(monotonic=lambda: current_thread().clock, time=lambda: 0.0)
    with (
        patch.dict(os.environ, {schema.TABLE_NAME_VARIABLE: "cruddur-messages"}),
        patch.dict(new_projection.settle_all.__globals__, ThreadPoolExecutor=_Threads),
        patch.object(module, "time", clock),
        patch.object(module, "log", SimpleNamespace(emit=lambda *_event, **_fields: None)),
        patch.object(module, "Projection", new_projection),
        patch.object(module, "_dynamodb", None),
    ):
        yield run


class _Threads:
    """Replaces ThreadPoolExecutor."""

    def __init__(self, **_arguments: Any) -> None:
        pass

    def __enter__(self) -> "_Threads":
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def map(self, settle: Callable[[Any], Any], conversations: Iterable[Any]) -> Sequence[Any]:
        """The result of each call, in the order of its arguments."""
        return current_thread().invocation._side_by_side(settle, list(conversations))


class _Unchecked(Simulation):
    """A schedule that both versions support, played without checks of the promises."""

    def __init__(self, schedule: bytes) -> None:
        super().__init__(schedule)
        self._lag_kind %= 4
        self._is_restored = False
        self._refused_member = ""

    @property
    def records(self) -> int:
        return len(self._records)

    def _check_write(self, changes: Any) -> None:
        pass

    def _check_rest(self) -> None:
        pass

    def _redrive(self) -> None:
        pass

    def _run_again(self) -> None:
        pass


def _schedule(number: int) -> bytes:
    schedule = random.Random(number).randbytes(choices.SIZE)  # noqa: S311
    odd_rows = choices.PARTS["rows"]
    return schedule[:-odd_rows] + bytes(odd_rows)
