"""Passes over a person's conversations, repeated until nothing is left to do, also while others write."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from cruddur_messages.dynamodb import CONDITION_FAILED, NO_REASON, TRANSIENT_CODES, reasons

MOST_PASSES = 20
PAUSE_SECONDS = 2.0
"""Longer than a committed transaction takes to become visible, and than the index usually lags."""

Track = Callable[[Sequence[str]], Iterable[str]]
"""Iterates over conversations, and may show how far it is."""


class StillChangingError(Exception):
    """After MOST_PASSES there is still something to do: others write all the time, or a conversation is not settled."""

    def __init__(self, why: str) -> None:
        super().__init__(f"it is not finished after {MOST_PASSES} passes ({why}): run it again")


@dataclass
class Pass:
    """What one pass has done, and why another one is needed even if it has done nothing."""

    done: Counter[str] = field(default_factory=Counter)
    failure: str = ""

    def write(self, what: str, call: Callable[..., object], *, number: int = 1, **arguments: Any) -> bool:
        """Make a conditional write and count it; if somebody else has written first, the next pass tries again.

        Returns whether it was made.
        """
        try:
            call(**arguments)
        except ClientError as error:
            if not set(reasons(error)) <= {NO_REASON, CONDITION_FAILED, *TRANSIENT_CODES}:
                raise
            self.failure = ", ".join(sorted({*reasons(error)} - {NO_REASON}))
            return False
        self.done[what] += number
        return True


def until_nothing_changes(one_pass: Callable[[], Pass], sleep: Callable[[float], None]) -> Counter[str]:
    """Repeat until a pass that began after a pause has done nothing; returns what all have done.

    Raises StillChangingError.
    """
    total: Counter[str] = Counter()
    made = one_pass()
    for _ in range(MOST_PASSES):
        total += made.done
        sleep(PAUSE_SECONDS)
        made = one_pass()
        if not made.done and not made.failure:
            return total
    raise StillChangingError(made.failure or ", ".join(made.done))
