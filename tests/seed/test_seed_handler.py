"""The custom resource: CloudFormation gets one response to every event, with a readable reason."""

import importlib
import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruddur_messages import schema
from cruddur_messages.seed import cloudformation
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.cloudformation import LONGEST_REASON, Response, UndeliveredError
from cruddur_messages.seed.load import SeedLoader
from tests.access_patterns.people import BetweenCalls, items_of
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.seed.faults import client_error

CONVERSATIONS = seed_file.load()
PROPERTIES = seed_file.resource_properties(CONVERSATIONS)
ALL_ITEMS = sum(len(c.messages) + len(c.members) for c in CONVERSATIONS)


@dataclass
class Bucket:
    """Acts as the bucket for CloudFormation's responses; it returns `statuses` one by one, then 200."""

    url: str
    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    taken: threading.Event = field(default_factory=threading.Event)

    def response(self) -> dict[str, str]:
        """The only response since the last call."""
        ((_, _, body),) = self.requests
        self.requests.clear()
        return body


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert len(body) <= 4096
            received.requests.append((self.path, self.headers["Content-Type"], json.loads(body)))
            received.taken.set()
            self.send_response(received.statuses.pop(0) if received.statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The requests are kept, not logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Bucket(f"http://127.0.0.1:{server.server_port}/answers/1?signature=a%2Bb&x=1")
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield received
        server.shutdown()
        thread.join()


class Context:
    """A Lambda context with a remaining time that a test sets."""

    seconds = 300.0

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Function:
    """The Lambda function of a table, and the bucket for its responses."""

    entry: ModuleType
    table: CruddurTable
    bucket: Bucket

    def event(self, request_type: str, **changed: Any) -> dict[str, Any]:
        made: dict[str, Any] = {
            "RequestType": request_type,
            "ResponseURL": self.bucket.url,
            "StackId": "stack/1",
            "RequestId": str(uuid.uuid4()),
            "LogicalResourceId": "Seed",
            "ResourceProperties": {"ServiceToken": "arn", "TableName": self.table.name, **PROPERTIES},
        }
        if request_type != "Create":
            made["PhysicalResourceId"] = f"cruddur-messages-seed/{self.table.name}"
        return made | changed

    def respond(self, request_type: str, **changed: Any) -> dict[str, str]:
        self.entry.handler(self.event(request_type, **changed), Context())
        return self.bucket.response()

    def count(self) -> int:
        return len(items_of(self.table))


@pytest.fixture
def function(cruddur_table: CruddurTable, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Function:
    """The Lambda entry, with the environment of its function."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", tables.REGION)
    monkeypatch.setenv(schema.TABLE_NAME_VARIABLE, cruddur_table.name)
    entry = importlib.import_module("cruddur_messages.seed.handler")
    monkeypatch.setattr(entry, "_dynamodb", cruddur_table.client)
    return Function(entry, cruddur_table, bucket)


def test_create_update_delete(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    table, create = function.table, function.event("Create")
    function.entry.handler(create, Context())
    ((path, content_type, _),) = function.bucket.requests
    assert (path, content_type) == ("/answers/1?signature=a%2Bb&x=1", "")
    assert function.bucket.response() == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": f"cruddur-messages-seed/{table.name}",
        **{name: create[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    assert function.count() == ALL_ITEMS

    former = seed_file.parse("Person 1: hi\nPerson 3: hello\n", CONVERSATIONS[-1].members)
    SeedLoader(client=table.client, table_name=table.name).load(former)
    assert function.count() == ALL_ITEMS + 4
    old = {"TableName": table.name, **seed_file.resource_properties(former)}
    assert function.respond("Update", OldResourceProperties=old)["Status"] == "SUCCESS"
    assert function.count() == ALL_ITEMS

    # An update to another table deletes what was the resource: nothing of it is in this table.
    elsewhere = {**PROPERTIES, "TableName": "the-former-table"}
    deleted = function.respond("Delete", ResourceProperties=elsewhere, PhysicalResourceId="theirs")
    assert (deleted["Status"], deleted["PhysicalResourceId"]) == ("SUCCESS", "theirs")
    assert function.count() == ALL_ITEMS

    for _ in range(2):
        assert function.respond("Delete")["Status"] == "SUCCESS"
        assert function.count() == 0
    logged = capsys.readouterr().out
    for message in (message for conversation in CONVERSATIONS for message in conversation.messages):
        assert message.message not in logged
        assert message.sender.display_name not in logged


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_a_denied_call_is_reported_and_not_retried(
    function: Function, monkeypatch: pytest.MonkeyPatch, request_type: str
) -> None:
    def deny(_number: int, name: str) -> None:
        raise client_error("AccessDeniedException", name)

    client = BetweenCalls(function.table.client, before=deny)
    monkeypatch.setattr(function.entry, "_dynamodb", client)
    response = function.respond(
        request_type, **({} if request_type == "Create" else {"PhysicalResourceId": "as-it-was"})
    )
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith("SeedError: DynamoDB refuses: An error occurred (AccessDeniedException)")
    assert "Traceback" not in response["Reason"]
    # Another id would make CloudFormation delete what had the previous one.
    assert (response["PhysicalResourceId"] == "as-it-was") == (request_type != "Create")
    assert len(client.names) == 1


def test_without_a_table_there_is_nothing_to_delete(function: Function) -> None:
    table = function.table
    table.client.delete_table(TableName=table.name)
    table.client.get_waiter("table_not_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1})
    for request_type in ("Create", "Update"):
        response = function.respond(request_type)
        assert response["Status"] == "FAILED"
        assert response["Reason"] == f"MissingTableError: there is no table {table.name}"
    assert function.respond("Delete")["Status"] == "SUCCESS"


class ManualTimer(threading.Timer):
    """A timer that runs out when the test calls `run_out`."""

    last: "ManualTimer"

    def start(self) -> None:
        ManualTimer.last = self

    def run_out(self) -> None:
        self.interval = 0
        super().start()
        self.join()


def test_out_of_time_is_reported_once_and_the_work_stops(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudformation, "Timer", ManualTimer)

    def run_out_in_the_third_write(_number: int, name: str) -> None:
        if name == "batch_write_item" and client.names.count(name) == 3:
            assert ManualTimer.last.interval == 300 - cloudformation.RESERVE_SECONDS
            context.seconds = cloudformation.RESERVE_SECONDS
            ManualTimer.last.run_out()

    context, client = Context(), BetweenCalls(function.table.client, before=run_out_in_the_third_write)
    monkeypatch.setattr(function.entry, "_dynamodb", client)
    function.entry.handler(function.event("Create"), context)
    response = function.bucket.response()
    assert (response["Status"], response["Reason"]) == ("FAILED", f"out of time after 34 of {ALL_ITEMS} items")
    assert client.names.count("batch_write_item") == 3
    assert function.respond("Delete")["Status"] == "SUCCESS"
    assert function.count() == 0


def responding(url: str, *, seconds: float, work: Callable[[], object], waits: list[float]) -> None:
    response = Response(
        event={"ResponseURL": url, "StackId": "s", "RequestId": "r", "LogicalResourceId": "l"},
        physical_resource_id="id",
        sleep=waits.append,
    )
    with response.for_work(seconds=seconds, progress=lambda: "0 of 1 items"):
        work()


def test_a_response_that_was_not_delivered_at_the_deadline_is_not_changed_afterwards(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudformation, "Timer", ManualTimer)
    bucket.statuses.extend([503] * cloudformation.ATTEMPTS)

    responding(bucket.url, seconds=60, work=lambda: ManualTimer.last.run_out(), waits=[])
    assert len(bucket.requests) == cloudformation.ATTEMPTS + 1
    assert {body["Reason"] for _, _, body in bucket.requests} == {"out of time after 0 of 1 items"}


@pytest.mark.parametrize("statuses", [[500], [403, 503]])
def test_a_response_that_is_not_delivered_is_retried(bucket: Bucket, statuses: list[int]) -> None:
    bucket.statuses.extend(statuses)
    responding(bucket.url, seconds=60, work=lambda: None, waits=[])
    assert [body["Status"] for _, _, body in bucket.requests] == ["SUCCESS"] * (len(statuses) + 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/x", "https://127.0.0.1:{}/x"])
def test_a_bucket_that_cannot_be_reached_is_an_error_after_bounded_attempts(url: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        waits: list[float] = []
        with pytest.raises(UndeliveredError, match="refused"):
            responding(url.format(closed.getsockname()[1]), seconds=60, work=lambda: None, waits=waits)
    assert len(waits) == cloudformation.ATTEMPTS - 1
    longest = sum(waits) + cloudformation.ATTEMPTS * cloudformation.TIMEOUT_SECONDS
    assert longest < cloudformation.RESERVE_SECONDS


def test_the_first_response_wins(bucket: Bucket) -> None:
    """There is one response to each event, also if the work ends at the deadline, or hangs."""
    for number in range(50):
        responding(bucket.url, seconds=number / 10_000, work=lambda: None, waits=[])
        assert bucket.response()["Status"] in {"SUCCESS", "FAILED"}
    bucket.taken.clear()

    responding(bucket.url, seconds=0.01, work=bucket.taken.wait, waits=[])
    assert bucket.response()["Reason"] == "out of time after 0 of 1 items"


@given(reason=st.text(st.characters()) | st.text(st.sampled_from('\ud800\x00"\\\n😀é')).map(lambda text: text * 500))
def test_any_reason_fits_into_a_body_that_cloudformation_accepts(reason: str) -> None:
    arn = "arn:aws:cloudformation:us-east-1:123456789012:stack/" + "s" * 165
    sent: list[bytes] = []

    def fail() -> None:
        raise ValueError(reason)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloudformation, "_put", lambda _url, body, _bundle: sent.append(body))
        responding(arn, seconds=60, work=fail, waits=[])
    (body,) = sent
    assert len(body) <= 4096
    said = json.loads(body)["Reason"]
    assert said.startswith("ValueError:")
    assert len(said) <= LONGEST_REASON
    assert said.isprintable()


def test_a_call_that_hangs_ends_before_the_function(function: Function) -> None:
    config = function.entry.CLIENT_CONFIG
    assert config.retries["total_max_attempts"] * config.read_timeout < cloudformation.RESERVE_SECONDS
