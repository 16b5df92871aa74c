"""The login by a token of Cognito: a key pair of the tests replaces the user pool's."""

import hmac
import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.datastructures import Headers

from cruddur_messages.store import MessageStore
from examples.backend.app import create_app
from examples.backend.login import USER_HEADER, CognitoLogin
from examples.backend.users import UsersOfFile
from tests.access_patterns.people import person
from tests.engines import tables
from tests.engines.fixtures import free_port

ANN = person("ann")
ACCOUNT = "0d1f5c0e-1a2b-4c3d-8e4f-000000000001"
CLIENT_ID = "the-app"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims(issuer: str, **changes: Any) -> dict[str, Any]:
    """The claims of an access token; None removes a claim."""
    usual = {
        "sub": ACCOUNT, "iss": issuer, "client_id": CLIENT_ID, "token_use": "access",
        "exp": time.time() + 60, "iat": time.time(),
    }  # fmt: skip
    return {name: value for name, value in (usual | changes).items() if value is not None}


def login_of(issuer: str) -> CognitoLogin:
    by_cognito_id = {ACCOUNT: ANN}.get
    return CognitoLogin(user_pool_id="us-east-1_a", client_id=CLIENT_ID, by_cognito_id=by_cognito_id, issuer=issuer)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a made-up user pool."""
    key = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    keys = json.dumps({"keys": [{**key, "kid": "ours", "use": "sig", "alg": "RS256"}]})
    folder = tmp_path_factory.mktemp("pool")
    for place, content in ((folder, keys), (folder / "maintenance", "<html>Back soon</html>")):
        (place / ".well-known").mkdir(parents=True)
        (place / ".well-known/jwks.json").write_text(content)
    with HTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def signed(claims: dict[str, Any], *, key: Any = KEY, algorithm: str = "RS256", kid: str = "ours") -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def bearer(token: str) -> Headers:
    return Headers({"Authorization": f"Bearer {token}"})


def test_a_valid_token_logs_its_user_in(issuer: str) -> None:
    assert login_of(issuer).user(bearer(signed(claims(issuer)))) == ANN


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_other"},
        {"iss": None},
        {"client_id": "another-app"},
        {"client_id": None},
        {"token_use": "id"},
        {"token_use": None},
        {"sub": None},
        {"sub": "somebody else"},
        {"nbf": 9_999_999_999},
    ],
    ids=str,
)
def test_a_token_with_other_claims_logs_nobody_in(issuer: str, changes: dict[str, Any]) -> None:
    assert login_of(issuer).user(bearer(signed(claims(issuer, **changes)))) is None


def forged_with_the_public_key(issuer: str) -> str:
    """A forged token that an app accepts if it lets the token choose the algorithm."""
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header = jwt.utils.base64url_encode(b'{"alg": "HS256", "kid": "ours", "typ": "JWT"}')
    body = header + b"." + jwt.utils.base64url_encode(json.dumps(claims(issuer)).encode())
    signature = hmac.digest(public, body, "sha256")
    return (body + b"." + jwt.utils.base64url_encode(signature)).decode()


def test_a_token_that_the_pool_has_not_signed_logs_nobody_in(issuer: str) -> None:
    header, payload, signature = signed(claims(issuer)).split(".")
    for token in (
        signed(claims(issuer), key=OTHER_KEY),
        signed(claims(issuer), kid="unknown"),
        forged_with_the_public_key(issuer),
        signed(claims(issuer), key=None, algorithm="none"),
        f"{header}.{payload}.",
        f"{header}.{payload[:-2]}.{signature}",
        "no token", "", "a.b.c", "é.é.é",
    ):  # fmt: skip
        assert login_of(issuer).user(bearer(token)) is None


def test_without_a_bearer_token_nobody_is_logged_in(issuer: str) -> None:
    token = signed(claims(issuer))
    for headers in ({USER_HEADER: "ann"}, {"Authorization": f"Basic {token}"}, {"Authorization": token}, {}):
        assert login_of(issuer).user(Headers(headers)) is None


@pytest.mark.parametrize("address", ["http://127.0.0.1:{free_port}", "{issuer}/maintenance"])
def test_keys_that_cannot_be_read_are_no_stack_trace(issuer: str, address: str) -> None:
    issuer = address.format(issuer=issuer, free_port=free_port())
    store = MessageStore(client=tables.dynamodb(issuer), table_name="cruddur-messages")
    app = create_app(store=store, users=UsersOfFile(), login=login_of(issuer))
    token = signed(claims(issuer))
    response = app.test_client().get("/api/message_groups", headers=bearer(token))
    assert (response.status_code, response.json) == (503, {"errors": ["unavailable"]})
