"""The settlement of many conversations: apart from each other, with retries, within the time."""

from typing import Any, cast

import pytest
from botocore.exceptions import ReadTimeoutError

from cruddur_messages.projection.handler import reserve_of
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settler import Settler
from tests.unit.projection.case import GROUP, Case, message, number_of, row

pytestmark = pytest.mark.check

SLOWEST_CALL_SECONDS = 7.0


class Silent:
    """A client whose calls take as long as one that never returns."""

    def __init__(self) -> None:
        self.now = 0.0

    def get_item(self, **_arguments: Any) -> Any:
        self.now += SLOWEST_CALL_SECONDS
        raise ReadTimeoutError(endpoint_url="")


def test_an_unexpected_error_fails_only_its_own_conversation() -> None:
    case = Case()
    query = case.engine.query

    def faulty(**arguments: Any) -> Any:
        if {"S": "MSG#odd"} in arguments["ExpressionAttributeValues"].values():
            raise KeyError("odd")
        return query(**arguments)

    case.engine.query = faulty  # type: ignore[method-assign]
    odd = case.put(row("a", "b", group="odd"), message(group="odd"))
    good = case.put(row("x", "y"), row("y", "x"), message())
    assert set(case.handle([*odd, *good])) == {number_of(one) for one in odd}
    assert "unexpected KeyError at test_projection.py:" in case.lines[0]["failure"]


@pytest.mark.parametrize("seconds", [20.0, 21.0, 28.0, 60.0])
def test_no_call_starts_that_could_outlast_the_invocation(seconds: float) -> None:
    silent = Silent()

    def sleep(pause: float) -> None:
        silent.now += pause

    projection = Settler(
        client=cast("Any", silent),
        table_name="t",
        seconds_left=lambda: seconds - reserve_of(seconds) - silent.now,
        sleep=sleep,
    )
    assert projection.settle(DirtyConversation(GROUP)).failure is not None
    assert 0 < silent.now < seconds


def test_the_pauses_before_retries_double_up_to_a_second() -> None:
    def pauses(draw: float) -> list[float]:
        slept: list[float] = []
        client: Any = Silent()
        given: Any = {"seconds_left": lambda: 60.0, "sleep": slept.append, "draw": lambda: draw}
        settled = Settler(client=client, table_name="t", **given).settle(DirtyConversation(GROUP))
        assert settled.failure == "ReadTimeoutError"
        return slept

    assert pauses(1.0) == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    assert pauses(0.0) == pytest.approx([pause / 2 for pause in pauses(1.0)])
