"""Where a command acts: on this machine unless --prod is said."""

import json
import socket
from pathlib import Path

import pytest

from cruddur_cli import target
from cruddur_cli.errors import DdbError

SYSTEM = {
    "endpoint": "https://localhost:4599",
    "ca_bundle": "/somewhere/server.crt",
    "region": "eu-west-1",
    "access_key_id": "key",
    "secret_access_key": "secret",
    "table_name": "messages-of-make-up",
    "failure_queue_url": "https://localhost:4599/0/failures",
}

pytestmark = [pytest.mark.check, pytest.mark.usefixtures("nowhere")]


def test_the_endpoint_variable_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM))
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:9999")
    found = target.resolve(prod=False, table_name=None)
    assert (found.endpoint, found.table_name, found.has_projection) == (
        "http://localhost:9999",
        "cruddur-messages",
        False,
    )
    assert (found.access_key_id, found.region) == ("test", "us-east-1")


def test_dynamodb_local_comes_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setattr(target, "DYNAMODB_LOCAL", endpoint)
        assert target.resolve(prod=False, table_name=None).endpoint == endpoint


@pytest.mark.parametrize("by_variable", [False, True])
def test_then_the_system_of_make_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by_variable: bool) -> None:
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM))
    if by_variable:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", SYSTEM["endpoint"] + "/")
    found = target.resolve(prod=False, table_name=None)
    assert found == target.Target(
        table_name="messages-of-make-up",
        endpoint="https://localhost:4599",
        region="eu-west-1",
        has_projection=True,
        access_key_id="key",
        secret_access_key="secret",
        ca_bundle="/somewhere/server.crt",
        failure_queue_url="https://localhost:4599/0/failures",
    )
    assert target.resolve(prod=False, table_name="other").table_name == "other"


def test_nowhere_is_said_with_what_to_do() -> None:
    with pytest.raises(DdbError, match="run make dynamodb-local or make up, set AWS_ENDPOINT_URL_DYNAMODB, or say"):
        target.resolve(prod=False, table_name=None)


@pytest.mark.parametrize("written", ["", "[]", "{", '"x"'])
def test_a_broken_description_of_the_system_is_said(tmp_path: Path, written: str) -> None:
    (tmp_path / "system.json").write_text(written)
    with pytest.raises(DdbError, match=r"system\.json .*: run make down, then make up$"):
        target.resolve(prod=False, table_name=None)


def test_a_partial_description_of_the_system_is_filled_up(tmp_path: Path) -> None:
    (tmp_path / "system.json").write_text('{"endpoint": "https://localhost:1", "region": 5}')
    found = target.resolve(prod=False, table_name=None)
    assert (found.region, found.access_key_id, found.table_name) == ("us-east-1", "test", "cruddur-messages")


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"])
def test_prod_is_aws_whatever_the_endpoint_variables_say(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://localhost:9999")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    found = target.resolve(prod=True, table_name=None)
    assert found.is_aws
    assert str(found) == "cruddur-messages at AWS, eu-central-1"
    assert found.dynamodb().meta.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"
    assert found.queues().meta.endpoint_url == "https://sqs.eu-central-1.amazonaws.com"
    assert found.streams().meta.endpoint_url == "https://streams.dynamodb.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://dynamodb.us-east-1.amazonaws.com",
        "https://vpce-1-2.dynamodb.eu-west-1.vpce.amazonaws.com",
        "https://dynamodb.cn-north-1.amazonaws.com.cn",
        "https://123456789012.ddb.us-east-1.api.aws",
    ],
)
def test_no_variable_leads_to_aws(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
    with pytest.raises(DdbError, match="which is AWS: say --prod"):
        target.resolve(prod=False, table_name=None)
