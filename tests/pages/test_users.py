"""The backend's users from the app's own Postgres."""

import pytest

from examples.backend.users import UsersOfPostgres
from tests.pages.conftest import ACCOUNTS


def test_users_are_found_by_handle_and_cognito_id(database: str) -> None:
    users = UsersOfPostgres(database)
    assert list(users.all()) == list(ACCOUNTS)
    for user, account in ACCOUNTS.items():
        assert users.by_handle(user.handle) == user
        assert users.by_cognito_id(account) == user


@pytest.mark.parametrize("name", ["", "nobody", "' OR '1'='1", "a\0b", "\ud800", "Ann"])
def test_an_unknown_user_is_not_found(database: str, name: str) -> None:
    users = UsersOfPostgres(database)
    assert (users.by_handle(name), users.by_cognito_id(name)) == (None, None)
