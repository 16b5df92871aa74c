"""The target of a command: this machine unless --prod is given."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cruddur_cli import target
from cruddur_cli.commands.maintenance import s3_client
from cruddur_cli.errors import DdbError
from tests.end_to_end import hostile

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


OTHER_PROGRAM, SILENT_PROGRAM = "another program", "a silent program"


@pytest.fixture
def programs(dynamodb_local_endpoint: str) -> Iterator[dict[str, str]]:
    """What may be at port 8000, and where it is in a test."""
    with hostile.proxy() as (other, _), socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"http://127.0.0.1:{listener.getsockname()[1]}"
        nothing = {"nothing": target.DYNAMODB_LOCAL}
        yield nothing | {"DynamoDB": dynamodb_local_endpoint, OTHER_PROGRAM: other, SILENT_PROGRAM: silent}


MISLEADING = {
    "no such profile": {"AWS_PROFILE": "nope"},
    "an empty profile": {"AWS_PROFILE": ""},
    "the older name of the variable": {"AWS_DEFAULT_PROFILE": "nope"},
    "a login that has expired": {"AWS_PROFILE": "work"},
    "half of a key": {"AWS_ACCESS_KEY_ID": "alone"},
    "the other half": {"AWS_SECRET_ACCESS_KEY": "alone"},
    "a key that has expired": {"AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z", "AWS_SESSION_TOKEN": "x"},
    "an unreadable file": {"AWS_CONFIG_FILE": "/dev/null/x", "AWS_SHARED_CREDENTIALS_FILE": __file__},
    "another kind of endpoint": {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
    "configured endpoints are ignored": {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    **{f"{name} alone": {name: "a proxy"} for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy")},
    "no_proxy without credentials": {"HTTPS_PROXY": "a proxy", "HTTP_PROXY": "a proxy", "NO_PROXY": "127.0.0.1"},
}


@pytest.mark.parametrize("variables", MISLEADING.values(), ids=MISLEADING)
def test_on_this_machine_no_profile_no_login_and_no_proxy_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ministack_endpoint: str, variables: dict[str, str]
) -> None:
    (tmp_path / "config").write_text(
        "[profile work]\nsso_start_url = https://example.com\nsso_region = us-east-1\n"
        "sso_account_id = 1\nsso_role_name = a\n"
    )
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    with hostile.proxy() as (proxy, asked):
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, proxy if value == "a proxy" else value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", ministack_endpoint)
        found = target.resolve(prod=False, table_name=None)
        assert (found.access_key_id, found.secret_access_key) == ("test", "test")
        for request in (found.dynamodb().list_tables, found.streams().list_streams, found.queues().list_queues):
            request()
        assert asked == []


GENERAL, OF_DYNAMODB = "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"
ONE, ANOTHER, OF_MAKE_UP = "http://localhost:9998", "http://localhost:9999", SYSTEM["endpoint"]
UNSET = "no endpoint variable is set, and "


@pytest.mark.parametrize(
    ("variables", "at_port_8000", "endpoint", "because"),
    [
        ({OF_DYNAMODB: ONE}, "nothing", ONE, f"{OF_DYNAMODB} is set"),
        ({GENERAL: ONE}, "DynamoDB", ONE, f"{GENERAL} is set"),
        ({GENERAL: ONE, OF_DYNAMODB: ANOTHER}, "DynamoDB", ANOTHER, f"{OF_DYNAMODB} is set"),
        ({GENERAL: OF_MAKE_UP}, "DynamoDB", OF_MAKE_UP, f"{GENERAL} is set to the system of make up"),
        ({OF_DYNAMODB: f"{OF_MAKE_UP}/"}, "nothing", OF_MAKE_UP, f"{OF_DYNAMODB} is set to the system of make up"),
        ({}, "DynamoDB", "DynamoDB", f"{UNSET}DynamoDB is at {{}}"),
        ({}, OTHER_PROGRAM, OF_MAKE_UP, f"{UNSET}the system of make up is up"),
        ({}, "nothing", OF_MAKE_UP, f"{UNSET}the system of make up is up"),
    ],
)
def test_the_variables_come_first_and_the_system_of_make_up_last(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    programs: dict[str, str],
    variables: dict[str, str],
    at_port_8000: str,
    endpoint: str,
    because: str,
) -> None:
    (tmp_path / "system.json").write_text(json.dumps(SYSTEM))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    endpoint, because = programs.get(endpoint, endpoint), because.format(programs[at_port_8000])
    monkeypatch.setattr(target, "DYNAMODB_LOCAL", programs[at_port_8000])
    found = target.resolve(prod=False, table_name=None)
    assert target.resolve(prod=False, table_name="other").table_name == "other"
    described: Any = {name: value for name, value in SYSTEM.items() if name != "failure_queue_url"}
    of_make_up = target.Target(**described, has_projection=True, reason=because, system=SYSTEM)
    elsewhere = target.Target("cruddur-messages", endpoint, "us-east-1", has_projection=False, reason=because)
    assert found == (of_make_up if endpoint == OF_MAKE_UP else elsewhere)


@pytest.mark.parametrize(
    ("at_port_8000", "there"),
    [
        ("nothing", "nothing listens at {}"),
        *((p, "what is at {} is not DynamoDB") for p in (OTHER_PROGRAM, SILENT_PROGRAM)),
    ],
)
def test_without_a_target_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, programs: dict[str, str], at_port_8000: str, there: str
) -> None:
    monkeypatch.setattr(target, "DYNAMODB_LOCAL", programs[at_port_8000])
    wanted = f"{there.format(programs[at_port_8000])} and no system is up: run make dynamodb-local or make up, set "
    with pytest.raises(DdbError, match=f"^{wanted}AWS_ENDPOINT_URL_DYNAMODB, or use --prod for AWS$"):
        target.resolve(prod=False, table_name=None)


@pytest.mark.parametrize(
    "endpoint",
    [
        *(
            "localhost:8000",
            "x",
            "http://",
            "ftp://localhost",
            "http://localhost:x",
            "http://[",
            "http://user:s3cret@h",
        ),
        *(f"http://localhost:8000{rest}" for rest in ("/x", "//", "?x", "#x", "?", " ", "\n", "\t/", "\u200b", "\xa0")),
        *(f"http://{host}" for host in ("local\u200bhost:8000", "local\u3164host", "local\thost", "loc\xadalhost")),
        " http://localhost:8000",
    ],
)
def test_an_invalid_endpoint_is_refused(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.setenv(variable, endpoint)
        with pytest.raises(DdbError, match=f"^{variable} (is|has) [ -~]+; it takes an address such as") as refusal:
            target.resolve(prod=False, table_name=None).queues()
        assert "s3cret" not in str(refusal.value)
        monkeypatch.setenv(variable, "http://localhost:8000/")


def test_a_whole_key_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    found = target.resolve(prod=False, table_name=None)
    assert (found.access_key_id, found.secret_access_key) == ("key", "secret")


@pytest.mark.parametrize("written", ["", "[]", "{", '"x"'])
def test_an_unreadable_description_of_the_system_is_reported(tmp_path: Path, written: str) -> None:
    (tmp_path / "system.json").write_text(written)
    with pytest.raises(DdbError, match=r"system\.json .*: run make down, then make up$"):
        target.resolve(prod=False, table_name=None)


def test_a_partial_description_of_the_system_is_completed(tmp_path: Path) -> None:
    (tmp_path / "system.json").write_text('{"endpoint": "https://localhost:1", "region": 5}')
    found = target.resolve(prod=False, table_name=None)
    assert (found.region, found.access_key_id, found.table_name) == ("us-east-1", "test", "cruddur-messages")


def test_prod_is_aws_whatever_the_endpoint_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("", "_DYNAMODB", "_DYNAMODB_STREAMS", "_SQS", "_S3"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL{service}", "http://localhost:9999")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    found = target.resolve(prod=True, table_name=None)
    assert found.is_aws
    assert str(found) == "cruddur-messages at AWS, eu-central-1"
    assert found.dynamodb().meta.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"
    assert found.queues().meta.endpoint_url == "https://sqs.eu-central-1.amazonaws.com"
    assert found.streams().meta.endpoint_url == "https://streams.dynamodb.eu-central-1.amazonaws.com"
    assert s3_client(prod=True).meta.endpoint_url == "https://s3.amazonaws.com"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://dynamodb.us-east-1.amazonaws.com",
        "https://vpce-1-2.dynamodb.eu-west-1.vpce.amazonaws.com",
        "https://dynamodb.cn-north-1.amazonaws.com.cn",
        "https://123456789012.ddb.us-east-1.api.aws",
        "https://dynamodb.eusc-de-east-1.amazonaws.eu",
        "https://dynamodb.cn-north-1.api.amazonwebservices.com.cn",
        "https://dynamodb.us-east-1.amazonaws.com.",
    ],
)
def test_no_variable_leads_to_aws(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
    with pytest.raises(DdbError, match="which is AWS: use --prod"):
        target.resolve(prod=False, table_name=None)
