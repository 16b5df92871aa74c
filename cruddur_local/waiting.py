"""Waits for a condition, with a limit that only a hang reaches, because a busy machine is slow."""

from collections.abc import Callable

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

HANG_SECONDS = 300.0
"""On an idle machine, every wait takes less than a tenth of this."""

PAUSE_SECONDS = 0.1


def wait_until(is_so: Callable[[], object], *, within_seconds: float = HANG_SECONDS) -> bool:
    """Poll until `is_so` returns something true; False if that takes longer than `within_seconds`."""
    asking = Retrying(
        retry=retry_if_result(lambda found: not found),
        wait=wait_fixed(PAUSE_SECONDS),
        stop=stop_after_delay(within_seconds),
    )
    try:
        asking(is_so)
    except RetryError:
        return False
    return True
