"""A table as recorded responses to its Scan calls: a client reads it as fast as it can parse.

There is no engine, so all time is the client's: boto3 signs, sends nothing, and parses.
"""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from cruddur_messages.items import AttributeMap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ITEMS_PER_PAGE = 2500
"""About as many items as fit into the megabyte of a Scan response."""

PAGE = "page"


class _Body:
    """The body of a response, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


class RecordedTable:
    """Pages in two files, with all attributes and with the projected ones, and where each page begins."""

    def __init__(self, directory: Path) -> None:
        self._files = {False: directory / "whole", True: directory / "projected"}
        self._index = directory / "index"

    def record(self, items: Iterable[AttributeMap], attributes: Iterable[str]) -> None:
        """Write the pages."""
        projected = set(attributes)
        starts = {False: array("Q"), True: array("Q")}
        left = iter(items)
        with self._files[False].open("wb") as whole, self._files[True].open("wb") as narrow:
            while page := list(islice(left, ITEMS_PER_PAGE)):
                starts[False].append(whole.tell())
                starts[True].append(narrow.tell())
                whole.write(_json(page))
                narrow.write(_json([{k: v for k, v in item.items() if k in projected} for item in page]))
            starts[False].append(whole.tell())
            starts[True].append(narrow.tell())
        self._index.write_bytes(starts[False].tobytes() + starts[True].tobytes())

    def attach(self, client: "DynamoDBClient") -> None:
        """Return recorded responses to the client's Scan calls."""
        both = array("Q", self._index.read_bytes())
        starts = {False: both[: len(both) // 2], True: both[len(both) // 2 :]}

        def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            asked = json.loads(cast(bytes, request.body))
            is_projected = "ProjectionExpression" in asked
            number = int(asked.get("ExclusiveStartKey", {}).get(PAGE, {}).get("N", asked["Segment"]))
            own = starts[is_projected]
            following = number + asked["TotalSegments"]
            tail = b"}"
            if following < len(own) - 1:
                tail = b',"LastEvaluatedKey":{"%s":{"N":"%d"}}}' % (PAGE.encode(), following)
            items = b"[]"
            if number < len(own) - 1:
                with self._files[is_projected].open("rb") as pages:
                    pages.seek(own[number])
                    items = pages.read(own[number + 1] - own[number])
            return AWSResponse(str(request.url), 200, HTTPHeaders(), _Body(b'{"Items":' + items + tail))

        answering: Callable[..., Any] = answer
        client.meta.events.register("before-send.dynamodb.Scan", answering)


def _json(page: Iterable[AttributeMap]) -> bytes:
    return json.dumps(list(page), separators=(",", ":")).encode()
