"""Waits for a condition, with a limit that only a hang reaches, because a busy machine is slow."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

HANG_SECONDS = 300.0
"""On an idle machine, every wait takes less than a tenth of this."""

PAUSE_SECONDS = 0.1

_Found = TypeVar("_Found")


def wait_until(
    look: Callable[[], _Found], *, within_seconds: float = HANG_SECONDS, pause_seconds: float = PAUSE_SECONDS
) -> _Found:
    """Poll until `look` returns something true, at most `within_seconds`; returns what it returned last."""
    looking = Retrying(
        retry=retry_if_result(lambda found: not found),
        wait=wait_fixed(pause_seconds),
        stop=stop_after_delay(within_seconds),
        retry_error_callback=lambda last: last.outcome and last.outcome.result(),
    )
    return looking(look)
