"""Where a command acts: this machine unless `--prod` is said."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from cruddur_cli import local_system
from cruddur_cli.errors import DdbError
from cruddur_messages import schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_sqs import SQSClient

ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_DYNAMODB"
QUEUE_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_SQS"
DYNAMODB_LOCAL = "http://localhost:8000"
LOCAL_REGION = "us-east-1"
LOCAL_KEY = "test"
MOST_CONNECTIONS = 32
PROBE_SECONDS = 1.0

LOCAL_ATTEMPTS = 2
AWS_ATTEMPTS = 8


@dataclass(frozen=True)
class Target:
    """A table and where it is.

    `has_projection`: whether a deployed Lambda settles what is written here. The access key and `ca_bundle`, the
    certificates to trust, are None where boto3's own search finds them.
    """

    table_name: str
    endpoint: str | None
    region: str | None
    has_projection: bool
    access_key_id: str | None = None
    secret_access_key: str | None = None
    ca_bundle: str | None = None
    failure_queue_url: str | None = None

    @property
    def is_aws(self) -> bool:
        """Whether this is AWS itself."""
        return self.endpoint is None

    @property
    def place(self) -> str:
        """Where the table is, in words."""
        return self.endpoint or f"AWS, {self.region or 'no region'}"

    def __str__(self) -> str:
        return f"{self.table_name} at {self.place}"

    def dynamodb(self) -> "DynamoDBClient":
        """A client for the table."""
        client: DynamoDBClient = self._session().client("dynamodb", **self._arguments(self.endpoint))
        return client

    def streams(self) -> "DynamoDBStreamsClient":
        """A client for the table's stream."""
        client: DynamoDBStreamsClient = self._session().client("dynamodbstreams", **self._arguments(self.endpoint))
        return client

    def queues(self) -> "SQSClient":
        """A client for the failure queue."""
        endpoint = self.endpoint and os.environ.get(QUEUE_ENDPOINT_VARIABLE, self.endpoint)
        client: SQSClient = self._session().client("sqs", **self._arguments(endpoint))
        return client

    def _session(self) -> boto3.Session:
        return boto3.Session(
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
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

    Without `prod`: AWS_ENDPOINT_URL_DYNAMODB, else DynamoDB Local if it listens on its port, else the system that
    `make up` runs. Raises DdbError where there is none.
    """
    if prod:
        return Target(
            table_name or schema.TABLE_NAME, None, _region() or boto3.Session().region_name, has_projection=True
        )
    system = local_system.description()
    configured = os.environ.get(ENDPOINT_VARIABLE)
    if configured:
        if urlsplit(configured).scheme not in ("http", "https") or not urlsplit(configured).hostname:
            raise DdbError(f"{ENDPOINT_VARIABLE} is {configured!r}; it takes an address such as {DYNAMODB_LOCAL}")
        if (urlsplit(configured).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
            raise DdbError(f"{ENDPOINT_VARIABLE} is {configured}, which is AWS: say --prod, or unset it")
        if system.get("endpoint", "").rstrip("/") == configured.rstrip("/"):
            return _of_system(system, table_name)
        return _local(configured, table_name)
    if _listens(DYNAMODB_LOCAL):
        return _local(DYNAMODB_LOCAL, table_name)
    if system.get("endpoint"):
        return _of_system(system, table_name)
    raise DdbError(
        f"nothing listens at {DYNAMODB_LOCAL} and no system is up: run make dynamodb-local or make up, "
        f"set {ENDPOINT_VARIABLE}, or say --prod for AWS"
    )


def _local(endpoint: str, table_name: str | None) -> Target:
    key = None if boto3.Session().get_credentials() else LOCAL_KEY
    region = _region() or LOCAL_REGION
    return Target(
        table_name or schema.TABLE_NAME,
        endpoint,
        region,
        has_projection=False,
        access_key_id=key,
        secret_access_key=key,
    )


def _region() -> str | None:
    """The region that the environment names; boto3 itself does not look at AWS_REGION."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _of_system(system: Mapping[str, str], table_name: str | None) -> Target:
    return Target(
        table_name=table_name or system.get("table_name") or schema.TABLE_NAME,
        endpoint=system["endpoint"],
        region=system.get("region") or LOCAL_REGION,
        has_projection=True,
        access_key_id=system.get("access_key_id") or LOCAL_KEY,
        secret_access_key=system.get("secret_access_key") or LOCAL_KEY,
        ca_bundle=system.get("ca_bundle"),
        failure_queue_url=system.get("failure_queue_url"),
    )


def _listens(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False
