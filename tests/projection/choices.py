"""A schedule as a string of bytes, from which the simulation reads every choice.

Each kind of choice has a part of its own, so that to simplify one does not shift the others. Zero is the simplest
choice everywhere, also after the end.
"""

import base64
import zlib

PARTS = {"world": 64, "script": 64, "order": 160, "faults": 128, "lag": 144, "delivery": 80, "rows": 32}
"""The number of bytes for each kind of choice."""

SIZE = sum(PARTS.values())


class Choices:
    """Reads choices from one part, byte by byte."""

    def __init__(self, part: bytes) -> None:
        self._bytes = iter(part)

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        return next(self._bytes, 0) % limit

    def happens(self, percent: int) -> bool:
        """True with about this probability."""
        return next(self._bytes, 0) > 255 - percent * 256 // 100


def split(schedule: bytes) -> dict[str, Choices]:
    """The choices of a schedule, by kind."""
    parts: dict[str, Choices] = {}
    begin = 0
    for name, size in PARTS.items():
        parts[name] = Choices(schedule[begin : begin + size])
        begin += size
    return parts


def to_token(schedule: bytes) -> str:
    """The schedule as a word that can be copied from a terminal."""
    return base64.urlsafe_b64encode(zlib.compress(schedule.rstrip(b"\0"), 9)).decode()


def from_token(token: str) -> bytes:
    """The schedule of a word. Raises ValueError if it is none."""
    try:
        return zlib.decompress(base64.urlsafe_b64decode(token)).ljust(SIZE, b"\0")
    except (zlib.error, ValueError) as error:
        raise ValueError(f"{token} is no schedule: copy it whole") from error
