"""To wait for something that comes soon, with a limit that only a hang reaches: a busy machine takes its time."""

from collections.abc import Callable

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

HANG_SECONDS = 300.0
"""Nothing that is waited for here takes a tenth of this on a machine that does nothing else."""

PAUSE_SECONDS = 0.1


def wait_until(is_so: Callable[[], object], *, within_seconds: float = HANG_SECONDS) -> bool:
    """Ask until the answer is true; False where it is not after so many seconds."""
    asking = Retrying(
        retry=retry_if_result(lambda answer: not answer),
        wait=wait_fixed(PAUSE_SECONDS),
        stop=stop_after_delay(within_seconds),
    )
    try:
        asking(is_so)
    except RetryError:
        return False
    return True
