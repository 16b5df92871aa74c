"""The custom resource: CloudFormation gets one response to every event, with a readable reason."""

import importlib
import json
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cruddur_messages import schema
from cruddur_messages.seed import cloudformation
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.cloudformation import LONGEST_REASON, Response, UndeliveredError
from cruddur_messages.seed.load import SeedLoader
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.seed.faults import SeedClient, client_error

PROPERTIES = seed_file.resource_properties(seed_file.load())


@dataclass
class Bucket:
    """Acts as the bucket for CloudFormation's responses; it returns `statuses` one by one, then 200."""

    server: ThreadingHTTPServer
    url: str
    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    @property
    def response(self) -> dict[str, str]:
        """The only response."""
        ((_, _, body),) = self.requests
        return body


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert len(body) <= 4096
            received.requests.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(received.statuses.pop(0) if received.statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The requests are kept, not logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Bucket(server, f"http://127.0.0.1:{server.server_port}/answers/1?signature=a%2Bb&x=1")
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield received
        server.shutdown()
        thread.join()


class Context:
    """A Lambda context with a remaining time that a test sets."""

    def __init__(self, seconds: float = 300.0) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def entry(cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The Lambda entry, with the environment of its function."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", tables.REGION)
    monkeypatch.setenv(schema.TABLE_NAME_VARIABLE, cruddur_table.name)
    module = importlib.import_module("cruddur_messages.seed.handler")
    monkeypatch.setattr(module, "_dynamodb", SeedClient(cruddur_table.client))
    return module


def event(request_type: str, table: CruddurTable, bucket: Bucket, **changed: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "RequestType": request_type,
        "ResponseURL": bucket.url,
        "StackId": "stack/1",
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": "Seed",
        "ResourceProperties": {"ServiceToken": "arn", "TableName": table.name, **PROPERTIES},
    }
    if request_type != "Create":
        made["PhysicalResourceId"] = f"cruddur-messages-seed/{table.name}"
    return made | changed


def count(table: CruddurTable) -> int:
    items = 0
    for page in table.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):
        items += page["Count"]
    return items


ALL_ITEMS = sum(len(c.messages) + len(c.members) for c in seed_file.load())


def test_create_update_delete(
    entry: ModuleType, cruddur_table: CruddurTable, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    create = event("Create", cruddur_table, bucket)
    entry.handler(create, Context())
    path, headers, body = bucket.requests.pop()
    assert path == "/answers/1?signature=a%2Bb&x=1"
    assert headers["Content-Type"] == ""
    assert body == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": f"cruddur-messages-seed/{cruddur_table.name}",
        "StackId": "stack/1",
        "RequestId": create["RequestId"],
        "LogicalResourceId": "Seed",
    }
    assert count(cruddur_table) == ALL_ITEMS

    former = seed_file.parse("Person 1: hi\nPerson 3: hello\n", seed_file.load()[-1].members)
    SeedLoader(client=cruddur_table.client, table_name=cruddur_table.name).load(former)
    assert count(cruddur_table) == ALL_ITEMS + 4
    old = {"TableName": cruddur_table.name, **seed_file.resource_properties(former)}
    entry.handler(event("Update", cruddur_table, bucket, OldResourceProperties=old), Context())
    assert bucket.requests.pop()[2]["Status"] == "SUCCESS"
    assert count(cruddur_table) == ALL_ITEMS

    entry.handler(event("Delete", cruddur_table, bucket), Context())
    assert bucket.requests.pop()[2]["Status"] == "SUCCESS"
    assert count(cruddur_table) == 0
    entry.handler(event("Delete", cruddur_table, bucket), Context())
    assert bucket.response["Status"] == "SUCCESS"

    logged = capsys.readouterr().out
    for conversation in seed_file.load():
        for message in conversation.messages:
            assert message.message not in logged
            assert message.sender.display_name not in logged


def changed_properties(**changed: Any) -> Callable[[CruddurTable], dict[str, Any]]:
    return lambda table: {"TableName": table.name, **PROPERTIES, **changed}


@pytest.mark.parametrize("request_type", ["Create", "Update"])
@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        (changed_properties(TableName="other"), "PropertyError: TableName is 'other', the function is set up for '"),
        (changed_properties(Fingerprint="0"), "PropertyError: Fingerprint is not that of the seed file packaged"),
        (changed_properties(Conversations=[]), "PropertyError: Conversations is not that of the seed file packaged"),
        (lambda _: {}, "PropertyError: TableName is None, the function is set up for '"),
    ],
)
def test_wrong_properties_are_refused_and_their_removal_succeeds(
    entry: ModuleType,
    cruddur_table: CruddurTable,
    bucket: Bucket,
    request_type: str,
    properties: Callable[[CruddurTable], dict[str, Any]],
    reason: str,
) -> None:
    given_properties = properties(cruddur_table)
    entry.handler(event(request_type, cruddur_table, bucket, ResourceProperties=given_properties), Context())
    response = bucket.requests.pop()[2]
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith(reason)
    assert count(cruddur_table) == 0
    deletion = event("Delete", cruddur_table, bucket, ResourceProperties=given_properties, PhysicalResourceId="theirs")
    entry.handler(deletion, Context())
    assert bucket.response["Status"] == "SUCCESS"
    assert bucket.response["PhysicalResourceId"] == "theirs"


def test_a_failed_update_keeps_the_id_of_the_resource(
    entry: ModuleType, cruddur_table: CruddurTable, bucket: Bucket
) -> None:
    entry.handler(
        event("Update", cruddur_table, bucket, ResourceProperties={}, PhysicalResourceId="as-it-was"), Context()
    )
    assert (bucket.response["Status"], bucket.response["PhysicalResourceId"]) == ("FAILED", "as-it-was")


def test_items_of_another_table_are_not_searched_in_this_one(
    entry: ModuleType, cruddur_table: CruddurTable, bucket: Bucket
) -> None:
    entry.handler(event("Create", cruddur_table, bucket), Context())
    bucket.requests.clear()
    elsewhere = {**PROPERTIES, "TableName": "the-former-table"}
    entry.handler(event("Delete", cruddur_table, bucket, ResourceProperties=elsewhere), Context())
    assert bucket.response["Status"] == "SUCCESS"
    assert count(cruddur_table) == ALL_ITEMS


def test_an_unknown_request_type_fails(entry: ModuleType, cruddur_table: CruddurTable, bucket: Bucket) -> None:
    entry.handler(event("Rewind", cruddur_table, bucket), Context())
    assert bucket.response["Status"] == "FAILED"
    assert "'Rewind'" in bucket.response["Reason"]


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_a_deleted_table(
    entry: ModuleType,
    cruddur_table: CruddurTable,
    bucket: Bucket,
    request_type: str,
) -> None:
    cruddur_table.client.delete_table(TableName=cruddur_table.name)
    cruddur_table.client.get_waiter("table_not_exists").wait(TableName=cruddur_table.name, WaiterConfig={"Delay": 1})
    entry.handler(event(request_type, cruddur_table, bucket), Context())
    assert bucket.response["Status"] == ("SUCCESS" if request_type == "Delete" else "FAILED")
    if request_type != "Delete":
        assert bucket.response["Reason"] == f"MissingTableError: there is no table {cruddur_table.name}"


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_a_denied_call_is_reported(
    entry: ModuleType,
    cruddur_table: CruddurTable,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    request_type: str,
) -> None:
    def deny(action: str) -> None:
        raise client_error("AccessDeniedException", action)

    monkeypatch.setattr(entry, "_dynamodb", SeedClient(cruddur_table.client, before=deny))
    entry.handler(event(request_type, cruddur_table, bucket), Context())
    assert bucket.response["Status"] == "FAILED"
    assert bucket.response["Reason"].startswith(
        "SeedError: DynamoDB refuses: An error occurred (AccessDeniedException)"
    )
    assert "Traceback" not in bucket.response["Reason"]


class ManualTimer(threading.Timer):
    """A timer that runs out when the test calls `run_out`."""

    last: "ManualTimer"

    def start(self) -> None:
        ManualTimer.last = self

    def run_out(self) -> None:
        self.interval = 0
        super().start()
        self.join()


def test_out_of_time_is_reported_once_and_the_work_stops(
    entry: ModuleType, cruddur_table: CruddurTable, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudformation, "Timer", ManualTimer)

    def run_out_in_the_third_write(action: str) -> None:
        if action == "BatchWriteItem" and client.calls.count(action) == 3:
            assert ManualTimer.last.interval == 300 - cloudformation.RESERVE_SECONDS
            context.seconds = cloudformation.RESERVE_SECONDS
            ManualTimer.last.run_out()

    context = Context(seconds=300)
    client = SeedClient(cruddur_table.client, before=run_out_in_the_third_write)
    monkeypatch.setattr(entry, "_dynamodb", client)
    entry.handler(event("Create", cruddur_table, bucket), context)
    assert bucket.response["Status"] == "FAILED"
    assert bucket.response["Reason"] == f"out of time after 34 of {ALL_ITEMS} items"
    assert client.calls.count("BatchWriteItem") == 3
    bucket.requests.clear()
    entry.handler(event("Delete", cruddur_table, bucket), Context())
    assert bucket.response["Status"] == "SUCCESS"
    assert count(cruddur_table) == 0


def test_a_response_that_was_not_delivered_at_the_deadline_is_not_changed_afterwards(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudformation, "Timer", ManualTimer)
    bucket.statuses.extend([503] * cloudformation.ATTEMPTS)

    responding(bucket.url, seconds=60, work=lambda: ManualTimer.last.run_out(), waits=[])
    assert len(bucket.requests) == cloudformation.ATTEMPTS + 1
    assert {body["Reason"] for _, _, body in bucket.requests} == {"out of time after 0 of 1 items"}


def test_work_that_hangs_gets_a_response() -> None:
    taken = threading.Event()

    def put(_url: str, body: bytes, _bundle: str | None) -> int:
        bodies.append(body)
        taken.set()
        return 200

    bodies: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloudformation, "_put", put)
        responding("http://x", seconds=0.01, work=lambda: taken.wait(60), waits=[])
    (body,) = bodies
    assert json.loads(body)["Reason"] == "out of time after 0 of 1 items"


@pytest.mark.parametrize("statuses", [[500], [403, 503]])
def test_a_response_that_is_not_delivered_is_retried(
    entry: ModuleType,
    cruddur_table: CruddurTable,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    statuses: list[int],
) -> None:
    monkeypatch.setattr(cloudformation, "FIRST_PAUSE_SECONDS", 0)
    bucket.statuses.extend(statuses)
    entry.handler(event("Delete", cruddur_table, bucket), Context())
    assert len(bucket.requests) == len(statuses) + 1
    assert len({json.dumps(body) for _, _, body in bucket.requests}) == 1


def responding(url: str, *, seconds: float, work: Callable[[], object], waits: list[float]) -> None:
    response = Response(
        {"ResponseURL": url, "StackId": "s", "RequestId": "r", "LogicalResourceId": "l"},
        physical_resource_id="id",
        sleep=waits.append,
    )
    with response.for_work(seconds=seconds, progress=lambda: "0 of 1 items"):
        work()


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
    """There is one response to each event, also if the work ends at the deadline."""
    for number in range(50):
        responding(bucket.url, seconds=number / 10_000, work=lambda: None, waits=[])
        assert bucket.response["Status"] in {"SUCCESS", "FAILED"}
        bucket.requests.clear()


@given(reason=st.text(st.characters()) | st.text(st.sampled_from('\ud800\x00"\\\n😀é')).map(lambda text: text * 500))
def test_any_reason_fits_into_a_body_that_cloudformation_accepts(reason: str) -> None:
    arn = "arn:aws:cloudformation:us-east-1:123456789012:stack/" + "s" * 165
    sent: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:

        def put(_url: str, body: bytes, _bundle: str | None) -> int:
            sent.append(body)
            return 200

        patch.setattr(cloudformation, "_put", put)

        def fail() -> None:
            raise ValueError(reason)

        responding(arn, seconds=60, work=fail, waits=[])
    (body,) = sent
    assert len(body) <= 4096
    said = json.loads(body)["Reason"]
    assert said.startswith("ValueError:")
    assert len(said) <= LONGEST_REASON
    assert said.isprintable()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that no machine trusts by default, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


def test_a_private_certificate_is_trusted_if_the_environment_names_it(
    entry: ModuleType,
    cruddur_table: CruddurTable,
    bucket: Bucket,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cloudformation, "FIRST_PAUSE_SECONDS", 0)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    bucket.server.socket = tls.wrap_socket(bucket.server.socket, server_side=True)
    deletion = event("Delete", cruddur_table, bucket, ResponseURL=bucket.url.replace("http:", "https:"))

    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with pytest.raises(UndeliveredError, match="CERTIFICATE_VERIFY_FAILED"):
        entry.handler(deletion, Context())
    assert bucket.requests == []
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate[0]))
    entry.handler(deletion, Context())
    assert bucket.response["Status"] == "SUCCESS"


def test_a_call_that_hangs_ends_before_the_function(entry: ModuleType) -> None:
    config = entry.CLIENT_CONFIG
    assert config.retries["total_max_attempts"] * config.read_timeout < cloudformation.RESERVE_SECONDS
