"""The projection, run as greenlets that stop before every API call, with a clock and faults of the simulation."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, cast

from botocore.exceptions import ReadTimeoutError
from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

from cruddur_messages import dynamodb
from cruddur_messages.projection.batch import handle_batch
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Settlement
from cruddur_messages.projection.settler import Settle, Settler
from tests.projection.event_source_mapping import CRASHED
from tests.projection.memory_engine import MemoryEngine, cancelled, error
from tests.projection.promises import PRIVATE, Violation

CALL_SECONDS = 0.005
SECONDS_TO_RESPOND = 1.0
TRANSIENT_ERRORS = (
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionInProgressException",
)
TRANSIENT_REASONS = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")

SLOWEST_CALL_SECONDS = 7.0
"""The duration of a call that never returns; not imported from the tested code on purpose."""


class Thread(greenlet):  # type: ignore[misc]
    """One line of execution of an invocation, with a clock of its own."""

    def __init__(self, run: Callable[[], Any], invocation: "Invocation", clock: float) -> None:
        super().__init__(run, invocation.hub)
        self.invocation = invocation
        self.clock = clock


class FaultyClient:
    """DynamoDB as an invocation sees it: before every call, others may continue, and every call may fail or crash.

    `fault` returns the name of the next call's fault, "" for none. `number` picks among variants. `refused` says of an
    item whether DynamoDB refuses for good to write it. With `is_gradual`, others see a committed transaction item by
    item, and may go on between two of them.
    """

    def __init__(
        self,
        engine: MemoryEngine,
        fault: Callable[[], str] = lambda: "",
        number: Callable[[int], int] = lambda _limit: 0,
        refused: Callable[[Any], bool] = lambda _item: False,
        *,
        is_gradual: bool = False,
    ) -> None:
        self._engine = engine
        self._fault = fault
        self._number = number
        self._refused = refused
        self._is_gradual = is_gradual

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **arguments: self._call(partial(getattr(self._engine, operation), **arguments), [])

    def transact_write_items(self, **arguments: Any) -> Any:
        """TransactWriteItems."""
        actions = arguments["TransactItems"]
        refused = ["Put" in action and self._refused(action["Put"]["Item"]) for action in actions]

        def write() -> Any:
            if any(refused):
                raise cancelled(["ValidationError" if one else "None" for one in refused])
            if not self._is_gradual:
                return self._engine.transact_write_items(**arguments)
            for key in self._engine.commit_unapplied(**arguments):
                self._engine.apply(key)
                current_thread().invocation.wait()
            return {}

        return self._call(write, actions)

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
                failing = self._number(len(actions))
                reason = TRANSIENT_REASONS[self._number(len(TRANSIENT_REASONS))]
                raise cancelled([reason if number == failing else "None" for number in range(len(actions))])
        return call()


@dataclass
class World:
    """The shared state of all invocations of a schedule: the client, the limits, and the numbers of versions."""

    client: FaultyClient
    max_actions: int = dynamodb.MAX_ACTIONS
    versions: Iterator[int] = field(default_factory=partial(itertools.count, 1))
    numbers: Iterator[int] = field(default_factory=partial(itertools.count, 1))


class Invocation:
    """One delivery of records to the projection.

    `threads` are those that are about to make an API call, or sleep, and may continue. When it has `ended`, `response`
    is what it returned, or CRASHED.
    """

    def __init__(self, world: World, records: list[Any], *, available: float) -> None:
        self.hub = getcurrent()
        self.number = next(world.numbers)
        self.records = records
        self.threads: list[Thread] = []
        self.ended = False
        self.response: Any = CRASHED
        self.slowest_call = min(SLOWEST_CALL_SECONDS, available / 4)
        self._world = world
        self._available = available
        self._crashed = False
        self._main = Thread(self._run, self, 0.0)
        self._go(self._main)

    def __str__(self) -> str:
        return f"invocation {self.number}"

    @property
    def told(self) -> str:
        """The response as text, for the story."""
        return "nothing: it crashed" if self.response is CRASHED else str(self.response["batchItemFailures"])

    def step(self, thread: Thread) -> None:
        """Let a thread make its next call, and run until the call after that."""
        self.threads.remove(thread)
        self._go(thread)

    def finish(self) -> None:
        """Let it run to its end."""
        while self.threads:
            self.step(self.threads[0])

    def crash(self) -> None:
        """End all threads where they are."""
        self.ended = True
        threads, self.threads = [*self.threads, self._main], []
        for thread in threads:
            thread.throw(GreenletExit)

    def die(self) -> NoReturn:
        """End all threads, called by one of them."""
        self._crashed = True
        raise GreenletExit

    def wait(self, seconds: float = 0.0) -> None:
        """Let the others continue, called by one of the threads."""
        thread = current_thread()
        thread.clock += seconds
        self.threads.append(thread)
        self.hub.switch()

    def _side_by_side(self, settle: Settle, conversations: Sequence[DirtyConversation]) -> list[Settlement]:
        """One thread for each conversation, if there are several, and the caller waits for all."""
        if len(conversations) < 2:
            return [settle(conversation) for conversation in conversations]
        caller = current_thread()
        results: dict[int, Settlement] = {}

        def run(number: int, conversation: DirtyConversation) -> None:
            results[number] = settle(conversation)
            caller.clock = max(caller.clock, current_thread().clock)
            if len(results) == len(children):
                self.threads.append(caller)

        children = [
            Thread(partial(run, number, conversation), self, caller.clock)
            for number, conversation in enumerate(conversations)
        ]
        self.threads += children
        self.hub.switch()
        return [results[number] for number in range(len(children))]

    def _run(self) -> None:
        last_call = self._available - min(SLOWEST_CALL_SECONDS + SECONDS_TO_RESPOND, self._available / 2)
        projection = Settler(
            client=cast("Any", self._world.client),
            table_name="cruddur-messages",
            seconds_left=lambda: last_call - current_thread().clock,
            max_actions=self._world.max_actions,
            sleep=self.wait,
            draw=lambda: 0.5,
            new_version=lambda: f"v{next(self._world.versions)}",
            each=self._side_by_side,
        )
        self.response = handle_batch(
            {"Records": self.records}, settle_all=projection.settle_all, emit=_emit, clock=lambda: 0.0
        )
        self.ended = True
        if current_thread().clock > self._available:
            raise Violation("the invocation ran past its deadline")

    def _go(self, thread: Thread) -> None:
        thread.switch()
        if self._crashed and not self.ended:
            self.crash()


def current_thread() -> Thread:
    """The thread that runs now."""
    return cast("Thread", getcurrent())


def _emit(event: str, **fields: object) -> None:
    line = f"{event} {fields}"
    if PRIVATE in line:
        raise Violation(f"a log line tells a text or a name: {line}")
    if "unexpected" in str(fields.get("failure")):
        raise Violation(f"a fault of the code: {line}")
