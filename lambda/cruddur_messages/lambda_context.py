"""What the Lambda entries use of the context object that Lambda passes."""

from typing import Protocol


class LambdaContext(Protocol):
    """The context of an invocation (Lambda Developer Guide, "Context object in Python")."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
