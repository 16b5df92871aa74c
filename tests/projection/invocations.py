"""The real handler, run as greenlets that stop before every API call, with a clock and faults of the simulation."""

import itertools
import json
import os
from collections.abc import Callable, Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from botocore.exceptions import ReadTimeoutError
from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ.setdefault("TABLE_NAME", "cruddur-messages")

from cruddur_messages.projection import handler as stream_handler
from cruddur_messages.projection import settlement as projection
from tests.projection.event_source_mapping import CRASHED
from tests.projection.memory_engine import MemoryEngine, cancelled, error

CALL_SECONDS = 0.005
PRIVATE = "§"
"""Stands in every message text and name of the simulation, and must never stand in a log line."""

TRANSIENT_ERRORS = (
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionInProgressException",
)
TRANSIENT_REASONS = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")


SLOWEST_CALL_SECONDS = 7.0
"""How long a call takes that is never answered: stated here anew, and not taken from what is tested."""


class ViolationError(AssertionError):
    """A promise of the projection has been broken; the text says which, and where."""


_numbers = itertools.count(1)


class Thread(greenlet):  # type: ignore[misc]
    """One line of execution of an invocation, with a clock of its own."""

    def __init__(self, run: Callable[[], Any], invocation: "Invocation", clock: float) -> None:
        super().__init__(run, invocation.hub)
        self.invocation = invocation
        self.clock = clock
        self.index_reads = 0


class Invocation:
    """One delivery of records to the handler.

    `threads` are those that stand before an API call, or sleep, and may go on. When it has `ended`, `answer` is the
    handler's, or CRASHED.
    """

    def __init__(self, records: list[Any], *, available: float) -> None:
        self.hub = getcurrent()
        self.number = next(_numbers)
        self.records = records
        self.threads: list[Thread] = []
        self.ended = False
        self.answer: Any = CRASHED
        self.slowest_call = min(SLOWEST_CALL_SECONDS, available / 4)
        self._available = available
        self._crashed = False
        self._main = Thread(self._run, self, 0.0)
        self._go(self._main)

    def get_remaining_time_in_millis(self) -> float:
        """What Lambda's context object says."""
        return (self._available - current_thread().clock) * 1000

    @property
    def told(self) -> str:
        """The answer, for the story."""
        return "nothing: it crashed" if self.answer is CRASHED else str(self.answer["batchItemFailures"])

    def step(self, thread: Thread) -> None:
        """Let a thread make the call that it stands before, and run to the next."""
        self.threads.remove(thread)
        self._go(thread)

    def crash(self) -> None:
        """End all threads where they stand."""
        self.ended = True
        threads, self.threads = [*self.threads, self._main], []
        for thread in threads:
            thread.throw(GreenletExit)

    def die(self) -> NoReturn:
        """End all threads, called by one of them."""
        self._crashed = True
        raise GreenletExit

    def wait(self, seconds: float = 0.0) -> None:
        """Let the others go on, called by one of the threads."""
        thread = current_thread()
        thread.clock += seconds
        self.threads.append(thread)
        self.hub.switch()

    def run_side_by_side(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
        """What ThreadPoolExecutor.map does: one thread for each, and the caller waits for all."""
        caller = current_thread()
        results: dict[int, Any] = {}

        def run(number: int, argument: Any) -> None:
            results[number] = function(argument)
            caller.clock = max(caller.clock, current_thread().clock)
            if len(results) == len(children):
                self.threads.append(caller)

        children = [
            Thread(partial(run, number, argument), self, caller.clock) for number, argument in enumerate(arguments)
        ]
        self.threads += children
        self.hub.switch()
        return [results[number] for number in range(len(children))]

    def _run(self) -> None:
        self.answer = stream_handler.handler({"Records": self.records}, cast("Any", self))
        self.ended = True
        if current_thread().clock > self._available:
            raise ViolationError("the handler ran past its deadline")

    def _go(self, thread: Thread) -> None:
        thread.switch()
        if self._crashed and not self.ended:
            self.crash()


def current_thread() -> Thread:
    """The thread that runs now."""
    return cast("Thread", getcurrent())


class FaultyClient:
    """DynamoDB as an invocation meets it: every call is a place to be overtaken, to fail or to die.

    `fault` answers the name of what befalls the next call, "" for nothing. `number` picks among variants.
    """

    def __init__(self, engine: MemoryEngine, fault: Callable[[], str], number: Callable[[int], int]) -> None:
        self._engine = engine
        self._fault = fault
        self._number = number

    def query(self, **arguments: Any) -> Any:
        """Query."""
        if "IndexName" in arguments:
            current_thread().index_reads += 1
        return self._call(partial(self._engine.query, **arguments), [])

    def transact_write_items(self, **arguments: Any) -> Any:
        """TransactWriteItems."""
        return self._call(partial(self._engine.transact_write_items, **arguments), arguments["TransactItems"])

    def _call(self, call: Callable[[], Any], actions: list[Any]) -> Any:
        thread = current_thread()
        thread.invocation.wait()
        thread.clock += CALL_SECONDS
        match self._fault():
            case "crash before":
                thread.invocation.die()
            case "crash after":
                call()
                thread.invocation.die()
            case "error before":
                raise error(TRANSIENT_ERRORS[self._number(len(TRANSIENT_ERRORS))], "for now", "Any")
            case "error after":
                call()
                raise error("InternalServerError", "who knows", "Any")
            case "silence before":
                thread.clock += thread.invocation.slowest_call - CALL_SECONDS
                raise ReadTimeoutError(endpoint_url="simulated")
            case "silence after":
                call()
                raise ReadTimeoutError(endpoint_url="simulated")
            case "conflict" if actions:
                hindered = self._number(len(actions))
                reason = TRANSIENT_REASONS[self._number(len(TRANSIENT_REASONS))]
                raise cancelled([reason if number == hindered else "None" for number in range(len(actions))])
        return call()


def _sleep(seconds: float) -> None:
    current_thread().invocation.wait(seconds)


def _emit(event: str, **fields: object) -> None:
    line = json.dumps({"event": event, **fields}, ensure_ascii=False, default=str)
    if PRIVATE in line:
        raise ViolationError(f"a log line tells a text or a name: {line}")


class _Threads:
    """Stands in for ThreadPoolExecutor."""

    def __init__(self, **_arguments: Any) -> None:
        pass

    def __enter__(self) -> "_Threads":
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def map(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
        return current_thread().invocation.run_side_by_side(function, arguments)


def connect(client: FaultyClient, *, max_actions: int) -> None:
    """Put the simulation's table, clock, threads and log in the place of the handler's."""
    module: Any = stream_handler
    module._dynamodb = client
    module.time = SimpleNamespace(monotonic=lambda: current_thread().clock, time=lambda: 0.0)
    module.log = SimpleNamespace(emit=_emit)
    module.Projection = partial(projection.Projection, sleep=_sleep, draw=lambda: 0.5, max_actions=max_actions)
    library: Any = projection
    library.ThreadPoolExecutor = _Threads
