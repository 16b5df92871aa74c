"""The users: the app's own `users` table if `DATABASE_URL` is set, else the users file of the seed."""

import logging
from collections.abc import Sequence
from pathlib import Path

import psycopg
import psycopg.conninfo
from psycopg_pool import ConnectionPool

from cruddur_messages.items import User
from cruddur_messages.seed.file import USERS_PATH, parse_users

FORM = "postgresql://user:password@host:5432/database, with %-escapes for special characters"
CONNECTIONS = 4
CONNECT_SECONDS = 5.0


class UsersOfFile:
    """The users of a JSON file such as the seed's."""

    def __init__(self, path: Path = USERS_PATH) -> None:
        self._users = parse_users(path.read_text(encoding="utf-8"))

    def all(self) -> Sequence[User]:
        """Every user, in the order of the file."""
        return self._users

    def by_handle(self, handle: str) -> User | None:
        """The user of a handle, None if there is none."""
        return next((user for user in self._users if user.handle == handle), None)


class UsersOfPostgres:
    """The bootcamp's table `users`, at the address that DATABASE_URL has. Raises ValueError if that is no address.

    Every method raises psycopg.Error if the database does not respond.
    """

    def __init__(self, url: str) -> None:
        try:
            # The pool itself would retry a wrong address forever.
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error:
            raise ValueError(f"DATABASE_URL is no address of a PostgreSQL; it takes {FORM}") from None
        # The pool logs the errors of its attempts, whose text may hold a part of the address.
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        self._pool = ConnectionPool(
            url,
            min_size=0,
            max_size=CONNECTIONS,
            timeout=CONNECT_SECONDS,
            check=ConnectionPool.check_connection,
            open=True,
        )

    def all(self) -> Sequence[User]:
        """Every user, by handle."""
        return self._select("ORDER BY handle")

    def by_handle(self, handle: str) -> User | None:
        """The user of a handle, None if there is none."""
        return next(iter(self._select("WHERE handle = %s LIMIT 1", handle)), None)

    def by_cognito_id(self, cognito_user_id: str) -> User | None:
        """The user who logs in with this Cognito account, None if there is none."""
        return next(iter(self._select("WHERE cognito_user_id = %s LIMIT 1", cognito_user_id)), None)

    def _select(self, clause: str, *values: str) -> list[User]:
        query = f"SELECT uuid::text, handle, display_name FROM users {clause}"  # noqa: S608
        with self._pool.connection() as connection:
            try:
                found = connection.execute(query.encode(), values).fetchall()
            except (psycopg.DataError, UnicodeEncodeError):
                # No user has a name that PostgreSQL cannot store as text, such as one with a NUL.
                return []
        return [User(uuid=row[0], handle=row[1], display_name=row[2] or "") for row in found]


Users = UsersOfFile | UsersOfPostgres
