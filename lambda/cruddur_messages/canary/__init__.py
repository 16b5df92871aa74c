"""The canary: a message between two made-up people that must reach their inboxes."""

from typing import Final

RESERVE_SECONDS: Final = 15
"""Seconds of an invocation that are left after waiting, for the calls that follow and for the log."""
