"""Every error that AWS or botocore raises for a slip has a line that says what to do."""

from unittest.mock import Mock

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from cruddur_cli import target
from cruddur_cli.errors import explained
from cruddur_messages.seed.load import MissingTableError, SeedError
from tests.cli.conftest import Ddb
from tests.seed.faults import client_error

pytestmark = pytest.mark.check


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        *((client_error(code, "Query"), "aws sts get-caller-identity") for code in ("ExpiredToken", "RequestExpired")),
        *(
            (client_error(code, "Query"), "ask for the permission")
            for code in ("AccessDenied", "AccessDeniedException")
        ),
        (client_error("ResourceNotFoundException", "Query"), "bin/ddb schema-load"),
        (client_error("ResourceInUseException", "CreateTable"), "bin/ddb describe"),
        *(
            (client_error(code, "ReceiveMessage"), "--queue takes the output FailureQueueUrl")
            for code in ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
        ),
        (exceptions.NoCredentialsError(), "aws sso login"),
        (exceptions.UnauthorizedSSOTokenError(), "aws sso login"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="x"), "aws sso login"),
        (exceptions.ProfileNotFound(profile="nope"), "set AWS_PROFILE"),
        (exceptions.ConfigParseError(path="x"), "set AWS_PROFILE"),
        (exceptions.InvalidConfigError(error_msg="x"), "set AWS_PROFILE"),
        (exceptions.NoRegionError(), "set AWS_REGION"),
        (exceptions.SSLError(endpoint_url="x", error=ValueError("y")), "AWS_CA_BUNDLE"),
        (exceptions.ProxyConnectionError(proxy_url="x"), "is it running"),
        (exceptions.EndpointConnectionError(endpoint_url="x"), "is it running"),
        (exceptions.ReadTimeoutError(endpoint_url="x"), "is it running"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value)[:40],
)
def test_the_hint_is_printed_also_within_the_seed(
    ddb: Ddb, monkeypatch: pytest.MonkeyPatch, error: Exception, hint: str
) -> None:
    for raised in (error, SeedError("refused"), MissingTableError("refused")):
        raised.__cause__ = None if raised is error else error
        monkeypatch.setattr(target, "resolve", Mock(side_effect=raised))
        result = ddb("where")
        assert (result.status, result.err.count("\n")) == (1, 1)
        assert hint in result.err


def test_a_fault_of_the_program_is_none_of_them() -> None:
    assert explained(ValueError("x")) is None
    assert explained(ClientError({}, "Query")) == "Query was refused: unknown error: "
