"""Why a call to DynamoDB was not made, or did not do what it should: what passes by itself, and what stays."""

TRANSIENT_CODES = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Error codes and cancellation reasons that pass by themselves (Developer Guide, "Error handling", "Transactions")."""


class OutOfTimeError(Exception):
    """The deadline is too near to begin another call."""


class TransientError(Exception):
    """DynamoDB did not do it for now; the text is its error code."""


class RefusedError(Exception):
    """DynamoDB will not do it, now or later; the text is its error code."""


class CancelledError(Exception):
    """A transaction was not made; `reasons` has a code for each of its actions, in order."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(", ".join(sorted(set(reasons))))
        self.reasons = reasons
