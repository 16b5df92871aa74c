"""The target of a command: this machine unless `--prod` is given."""

import http.client
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.loaders import create_loader

from cruddur_cli import local_system
from cruddur_cli.errors import DdbError
from cruddur_messages import schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_sqs import SQSClient

ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_DYNAMODB"
GENERAL_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"
QUEUE_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_SQS"
DYNAMODB_LOCAL = "http://localhost:8000"
LOCAL_REGION = "us-east-1"
LOCAL_KEY = "test"
MOST_CONNECTIONS = 32
PROBE_SECONDS = 1.0
PROTOCOL = "application/x-amz-json-1.0"
LIST_TABLES = "DynamoDB_20120810.ListTables"

LOCAL_ATTEMPTS = 2
AWS_ATTEMPTS = 8


@dataclass(frozen=True)
class Target:
    """A table and its endpoint.

    `reason` says why it was chosen. `has_projection` is True if a deployed Lambda settles what is written here.
    `system` is the description that `make up` wrote of its system, empty elsewhere. On AWS, boto3 itself finds the
    access key and the certificates to trust, `ca_bundle`.
    """

    table_name: str
    endpoint: str | None
    region: str | None
    has_projection: bool
    reason: str = ""
    access_key_id: str = LOCAL_KEY
    secret_access_key: str = LOCAL_KEY
    ca_bundle: str | None = None
    system: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_aws(self) -> bool:
        """Whether this is AWS itself."""
        return self.endpoint is None

    @property
    def place(self) -> str:
        """The endpoint or the region, for people."""
        return self.endpoint or f"AWS, {self.region or 'no region'}"

    def __str__(self) -> str:
        return f"{self.table_name} at {self.place}"

    def dynamodb(self) -> "DynamoDBClient":
        """A client for the table."""
        return self._session().client("dynamodb", **self._arguments(self.endpoint))

    def streams(self) -> "DynamoDBStreamsClient":
        """A client for the table's stream."""
        return self._session().client("dynamodbstreams", **self._arguments(self.endpoint))

    def queues(self) -> "SQSClient":
        """A client for the failure queue."""
        endpoint = self.endpoint
        if endpoint and (given := os.environ.get(QUEUE_ENDPOINT_VARIABLE)):
            endpoint = _checked_endpoint(QUEUE_ENDPOINT_VARIABLE, given)
        return self._session().client("sqs", **self._arguments(endpoint))

    def _session(self) -> boto3.Session:
        if self.is_aws:
            return boto3.Session(region_name=self.region)
        return local_system.session(
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            region=self.region or LOCAL_REGION,
        )

    def _arguments(self, endpoint: str | None) -> dict[str, Any]:
        options: dict[str, Any] = {
            "connect_timeout": 5,
            "read_timeout": 30,
            "retries": {"mode": "standard", "total_max_attempts": AWS_ATTEMPTS if self.is_aws else LOCAL_ATTEMPTS},
            "max_pool_connections": MOST_CONNECTIONS,
            "ignore_configured_endpoint_urls": self.is_aws,
        }
        return {
            "endpoint_url": endpoint,
            "config": Config(**options),
            **({"verify": self.ca_bundle} if self.ca_bundle else {}),
        }


def resolve(*, prod: bool, table_name: str | None) -> Target:
    """The target of a command.

    Without `prod`: the endpoint of an environment variable, else DynamoDB on port 8000, else the system of `make up`.
    Raises DdbError if there is none.
    """
    if prod:
        region = _region() or boto3.Session().region_name
        return Target(table_name or schema.TABLE_NAME, None, region, has_projection=True, reason="--prod is given")
    system = local_system.description()
    for variable in (ENDPOINT_VARIABLE, GENERAL_ENDPOINT_VARIABLE):
        if endpoint := os.environ.get(variable):
            endpoint = _checked_endpoint(variable, endpoint)
            reason = f"{variable} is set"
            if system.get("endpoint", "").rstrip("/") == endpoint:
                return _target_of_make_up(system, table_name, f"{reason} to the system of make up")
            return _local_target(endpoint, table_name, reason)
    responds, is_dynamodb = _probe(DYNAMODB_LOCAL)
    if is_dynamodb:
        return _local_target(
            DYNAMODB_LOCAL, table_name, f"no endpoint variable is set, and DynamoDB is at {DYNAMODB_LOCAL}"
        )
    if system.get("endpoint"):
        return _target_of_make_up(system, table_name, "no endpoint variable is set, and the system of make up is up")
    there = f"what is at {DYNAMODB_LOCAL} is not DynamoDB" if responds else f"nothing listens at {DYNAMODB_LOCAL}"
    raise DdbError(
        f"{there} and no system is up: run make dynamodb-local or make up, "
        f"set {ENDPOINT_VARIABLE}, or use --prod for AWS"
    )


def _checked_endpoint(variable: str, endpoint: str) -> str:
    """The address without a slash at its end. Raises DdbError unless it is scheme, host and port, and not of AWS."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    # urlsplit drops line breaks and tabs, and reads other invisible characters as part of the host.
    is_visible = endpoint.isascii() and endpoint.isprintable() and " " not in endpoint
    rest = endpoint.removeprefix(f"{parts.scheme}://{parts.netloc}")
    if not is_visible or parts.scheme not in ("http", "https") or not host or rest not in ("", "/"):
        raise DdbError(f"{variable} is {endpoint!a}; it takes an address such as {DYNAMODB_LOCAL}")
    if "@" in parts.netloc:
        raise DdbError(f"{variable} has a user or a password in it; it takes an address such as {DYNAMODB_LOCAL}")
    partitions = create_loader().load_data("partitions")["partitions"]
    names = (one["outputs"][kind] for one in partitions for kind in ("dnsSuffix", "dualStackDnsSuffix"))
    if host.rstrip(".").endswith(tuple(f".{name}" for name in names)):
        raise DdbError(f"{variable} is {endpoint}, which is AWS: use --prod, or unset it")
    return endpoint.removesuffix("/")


def _local_target(endpoint: str, table_name: str | None, reason: str) -> Target:
    key, secret = (os.environ.get(name, "") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    if not key or not secret:
        key = secret = LOCAL_KEY
    return Target(
        table_name or schema.TABLE_NAME,
        endpoint,
        _region() or LOCAL_REGION,
        has_projection=False,
        reason=reason,
        access_key_id=key,
        secret_access_key=secret,
    )


def _region() -> str | None:
    """The region of the environment; boto3 itself does not read AWS_REGION."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _target_of_make_up(system: Mapping[str, str], table_name: str | None, reason: str) -> Target:
    return Target(
        table_name=table_name or system.get("table_name") or schema.TABLE_NAME,
        endpoint=system["endpoint"],
        region=system.get("region") or LOCAL_REGION,
        has_projection=True,
        reason=reason,
        access_key_id=system.get("access_key_id") or LOCAL_KEY,
        secret_access_key=system.get("secret_access_key") or LOCAL_KEY,
        ca_bundle=system.get("ca_bundle"),
        system=system,
    )


def _probe(endpoint: str) -> tuple[bool, bool]:
    """Whether anything responds there, and whether it speaks DynamoDB's protocol."""
    parts = urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PROBE_SECONDS)
    try:
        connection.request("POST", "/", "{}", {"X-Amz-Target": LIST_TABLES, "Content-Type": PROTOCOL})
        return True, connection.getresponse().getheader("Content-Type", "").startswith(PROTOCOL)
    except (http.client.HTTPException, ConnectionResetError, TimeoutError):
        return True, False
    except OSError:
        return False, False
    finally:
        connection.close()
