"""Crashes, and DynamoDB's temporary failures, for clients with hooks between their calls."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.access_patterns.people import BetweenCalls

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_IN_A_ROW = 4
THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")


class CrashError(BaseException):
    """The process crashes here."""


def crash_at(number: int) -> Callable[..., None]:
    """A hook that crashes at the call with this number, counted from 0."""
    left = [number]

    def hook(*_: object) -> None:
        if left[0] == 0:
            raise CrashError(f"at call {number}")
        left[0] -= 1

    return hook


def client_error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


class SlowTable:
    """A client of a table that returns a few items a page, and takes a few of a batch write: at random, or as given."""

    def __init__(
        self, client: "DynamoDBClient", *, seed: int = 0, page: int | None = None, taken: int | None = None
    ) -> None:
        self._client = client
        self._chance = random.Random(seed)  # noqa: S311
        self._page = page
        self._taken = taken

    def query(self, **arguments: Any) -> Any:
        return self._client.query(**arguments, Limit=self._page or self._chance.randint(1, 5))

    def batch_write_item(self, **arguments: Any) -> Any:
        ((table, requests),) = arguments["RequestItems"].items()
        shuffled = self._chance.sample(requests, len(requests))
        taken = self._chance.randint(1, len(requests)) if self._taken is None else self._taken
        if taken:
            self._client.batch_write_item(RequestItems={table: shuffled[:taken]})
        return {"UnprocessedItems": {table: shuffled[taken:]} if taken < len(requests) else {}}


def faulty(client: "DynamoDBClient", seed: int) -> BetweenCalls:
    """A client of a slow table that also throttles, and times out after a write; the same `seed` does the same.

    It never fails more often in a row than the seed retries.
    """
    chance, in_a_row = random.Random(seed), [0]  # noqa: S311

    def fails(probability: float) -> bool:
        in_a_row[0] = in_a_row[0] + 1 if in_a_row[0] < MOST_IN_A_ROW and chance.random() < probability else 0
        return in_a_row[0] > 0

    def throttle(_number: int, name: str) -> None:
        if fails(0.2):
            raise client_error(chance.choice(THROTTLES), name)

    def lose(_number: int, _name: str) -> None:
        if fails(0.1):
            raise ReadTimeoutError(endpoint_url="")

    return BetweenCalls(SlowTable(client, seed=seed), before=throttle, after=lose)
