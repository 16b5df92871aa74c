"""A client with DynamoDB's temporary failures, and one with hooks between the seed's calls.

Both have only the two actions that the seed's role allows.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ReadTimeoutError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_IN_A_ROW = 4
THROTTLES = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")


class CrashError(BaseException):
    """The process crashes here."""


def client_error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


class SeedClient:
    """Query on the table, consistent, and BatchWriteItem, as the seed's role allows; counts what is called.

    `before` and `after` run around each call, with the name of its action.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        before: Callable[[str], None] = lambda _: None,
        after: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._before = before
        self._after = after
        self.calls: list[str] = []

    def query(self, **arguments: Any) -> Any:
        assert "IndexName" not in arguments
        assert arguments["ConsistentRead"] is True
        return self._call("Query", lambda: self._query(arguments))

    def batch_write_item(self, **arguments: Any) -> Any:
        assert 1 <= sum(map(len, arguments["RequestItems"].values())) <= 25
        return self._call("BatchWriteItem", lambda: self._batch_write_item(arguments))

    def _call(self, action: str, act: Callable[[], Any]) -> Any:
        self.calls.append(action)
        self._before(action)
        result = act()
        self._after(action)
        return result

    def _query(self, arguments: dict[str, Any]) -> Any:
        return self._client.query(**arguments)

    def _batch_write_item(self, arguments: dict[str, Any]) -> Any:
        return self._client.batch_write_item(**arguments)


class FaultyClient(SeedClient):
    """Throttles, times out after a write, leaves items unprocessed, and returns small pages.

    It never fails more often in a row than the seed retries. The same `chance` gives the same failures.
    """

    def __init__(self, client: "DynamoDBClient", chance: int) -> None:
        super().__init__(client, before=self._throttle, after=self._lose)
        self._chance = random.Random(chance)  # noqa: S311
        self._in_a_row = 0

    def _throttle(self, action: str) -> None:
        if self._fails(0.2):
            raise client_error(self._chance.choice(THROTTLES), action)

    def _lose(self, _: str) -> None:
        if self._fails(0.1):
            raise ReadTimeoutError(endpoint_url="")

    def _fails(self, probability: float) -> bool:
        fails = self._in_a_row < MOST_IN_A_ROW and self._chance.random() < probability
        self._in_a_row = self._in_a_row + 1 if fails else 0
        return fails

    def _query(self, arguments: dict[str, Any]) -> Any:
        return self._client.query(**{"Limit": self._chance.randint(1, 5), **arguments})

    def _batch_write_item(self, arguments: dict[str, Any]) -> Any:
        ((table, requests),) = arguments["RequestItems"].items()
        shuffled = self._chance.sample(requests, len(requests))
        taken = self._chance.randint(1, len(requests))
        self._client.batch_write_item(RequestItems={table: shuffled[:taken]})
        return {"UnprocessedItems": {table: shuffled[taken:]} if taken < len(requests) else {}}


def crash_at(number: int) -> Callable[[str], None]:
    """A hook that crashes at the call with this number, counted from 0."""
    left = [number]

    def hook(_: str) -> None:
        if left[0] == 0:
            raise CrashError(f"at call {number}")
        left[0] -= 1

    return hook
