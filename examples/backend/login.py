"""The logged-in user: named by a header, or by a verified token if Cognito is set up."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import jwt
from werkzeug.datastructures import Headers

from cruddur_messages.items import User

USER_HEADER = "X-Cruddur-User"
"""The header with a percent-encoded handle. Nothing checks it, so it is for use on your own machine only."""

CLOCK_LEEWAY_SECONDS = 5.0
JWKS_TIMEOUT_SECONDS = 5.0


class HeaderLogin:
    """Trusts the header; `by_handle` finds the user."""

    def __init__(self, by_handle: Callable[[str], User | None]) -> None:
        self._by_handle = by_handle

    def user(self, headers: Headers) -> User | None:
        """The user with the header's handle."""
        return self._by_handle(unquote(headers.get(USER_HEADER, "")))


class CognitoLogin:
    """Verifies the access token of an `Authorization: Bearer` header; `by_cognito_id` finds the user of its `sub`.

    Signature, expiry, issuer, app client and use are checked (Cognito Developer Guide, "Verifying JSON Web Tokens").
    `issuer` is given only by tests.
    """

    def __init__(
        self,
        *,
        user_pool_id: str,
        client_id: str,
        by_cognito_id: Callable[[str], User | None],
        issuer: str | None = None,
    ) -> None:
        region = user_pool_id.partition("_")[0]
        self._issuer = issuer or f"https://cognito-idp.{region}.amazonaws.com/{user_pool_id}"
        self._client_id = client_id
        self._by_cognito_id = by_cognito_id
        self._keys = jwt.PyJWKClient(f"{self._issuer}/.well-known/jwks.json", timeout=JWKS_TIMEOUT_SECONDS)

    def user(self, headers: Headers) -> User | None:
        """The user whom the token names. Raises jwt.PyJWKClientConnectionError if Cognito does not give its keys."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = self._claims(token)
        except jwt.PyJWKClientConnectionError:
            raise
        except jwt.PyJWTError:
            return None
        except ValueError as error:
            raise jwt.PyJWKClientConnectionError(f"the keys of {self._issuer} are no JSON: {error}") from error
        return self._by_cognito_id(claims["sub"])

    def _claims(self, token: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            self._keys.get_signing_key_from_jwt(token).key,
            algorithms=["RS256"],
            issuer=self._issuer,
            leeway=CLOCK_LEEWAY_SECONDS,
            # Cognito's access tokens name the app client in client_id and have no audience.
            options={"require": ["exp", "iss", "sub"], "verify_aud": False},
        )
        if claims.get("token_use") != "access" or claims.get("client_id") != self._client_id:
            raise jwt.InvalidTokenError("no access token of this app client")
        return claims


Login = HeaderLogin | CognitoLogin
