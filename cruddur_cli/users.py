"""Users by handle and id, from the app's Postgres or from the users file of the seed."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import psycopg

from cruddur_cli.errors import DdbError, one_line
from cruddur_messages.items import UUID, User
from cruddur_messages.seed import file as seed_file

DATABASE_VARIABLE = "DATABASE_URL"
FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
CONNECT_SECONDS = 5
MOST_NAMED = 10

REASONS = (
    "Connection refused",
    "No such file or directory",
    "timeout expired",
    "failed to resolve host",
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "SSL",
)
"""What of psycopg's reasons for a failed connection is printed: their texts may hold parts of the address."""


class UsersOfFile:
    """The users of a users file of the seed. Raises SeedFileError if it is missing or wrong."""

    def __init__(self, path: Path = seed_file.USERS_PATH) -> None:
        self.name = path.name
        self._users = seed_file.load_users(path)

    def all(self) -> Sequence[User]:
        """Every user, in the order of the file."""
        return self._users

    def by_handle(self, handle: str) -> User | None:
        """The user of a handle, in upper or lower case; None if there is none."""
        found = [user for user in self._users if user.handle.casefold() == handle.casefold()]
        return min(found, key=lambda user: user.handle != handle, default=None)

    def by_uuid(self, user_uuid: str) -> User | None:
        """The user of an id, None if there is none."""
        return next(iter(self.by_uuids([user_uuid])), None)

    def by_uuids(self, user_uuids: Collection[str]) -> Sequence[User]:
        """The users of some ids, as far as there are any."""
        return [user for user in self._users if user.uuid in user_uuids]


class UsersOfPostgres:
    """The users of the app's database: the bootcamp's table `users` with uuid, display_name and handle.

    Every method raises DdbError if the database is not available.
    """

    name = DATABASE_VARIABLE

    def __init__(self, url: str) -> None:
        self._url = url

    def all(self) -> Sequence[User]:
        """Every user, by handle."""
        return self._select("ORDER BY handle", ())

    def by_handle(self, handle: str) -> User | None:
        """The user of a handle, in upper or lower case; None if there is none."""
        found = self._select("WHERE lower(handle) = lower(%s) ORDER BY (handle = %s) DESC LIMIT 1", (handle, handle))
        return next(iter(found), None)

    def by_uuid(self, user_uuid: str) -> User | None:
        """The user of an id, None if there is none."""
        return next(iter(self.by_uuids([user_uuid])), None)

    def by_uuids(self, user_uuids: Collection[str]) -> Sequence[User]:
        """The users of some ids, as far as there are any."""
        return self._select("WHERE uuid::text = ANY(%s)", ([*user_uuids],))

    def _select(self, clause: str, values: Sequence[object]) -> list[User]:
        query = f"SELECT uuid::text, display_name, handle FROM users {clause}"  # noqa: S608
        try:
            connection = psycopg.connect(self._url, connect_timeout=CONNECT_SECONDS)
        except psycopg.OperationalError as error:
            reason = next((reason for reason in REASONS if reason in str(error)), "no connection")
            raise _cannot_be_read(f"{reason}; its form is {FORM}") from None
        except (psycopg.Error, ValueError):
            raise _cannot_be_read(f"it is not an address of the form {FORM}") from None
        try:
            with connection:
                found = connection.execute(query.encode(), values).fetchall()
        except psycopg.Error as error:
            raise _cannot_be_read(one_line(str(error))) from error
        return [User(uuid=row[0], display_name=row[1] or "", handle=row[2] or "") for row in found]


Users = UsersOfFile | UsersOfPostgres


def _cannot_be_read(why: str) -> DdbError:
    """The address itself is never printed: it holds a password."""
    return DdbError(
        f"the users cannot be read from {DATABASE_VARIABLE} ({why}): "
        "correct it, or unset it to use the users of the seed"
    )


def open_users(users_path: str | None = None) -> Users:
    """Postgres when DATABASE_URL is set, else the users file given, else that of the seed."""
    url = os.environ.get(DATABASE_VARIABLE)
    return UsersOfPostgres(url) if url else UsersOfFile(Path(users_path or seed_file.USERS_PATH))


def source_name(users_path: str | None = None) -> str:
    """The name of what `open_users` would open."""
    return DATABASE_VARIABLE if os.environ.get(DATABASE_VARIABLE) else str(users_path or seed_file.USERS_PATH)


def resolve(users: Users, name: str) -> User:
    """The user of a handle (with or without @) or an id. Raises DdbError if there is none."""
    wanted = name.strip().removeprefix("@")
    user = users.by_uuid(wanted.lower()) if UUID.fullmatch(wanted) else users.by_handle(wanted)
    if user is None:
        everyone = users.all()
        known = ", ".join(user.handle for user in everyone[:MOST_NAMED]) or "nobody"
        more = f" and {len(everyone) - MOST_NAMED} more" if len(everyone) > MOST_NAMED else ""
        raise DdbError(f"nobody is called {name!r} in {users.name}: known are {known}{more}")
    return user


def first(users: Users) -> User:
    """The default user. Raises DdbError if there are no users."""
    everyone = users.all()
    if not everyone:
        raise DdbError(f"there are no users in {users.name}: name one by id")
    return everyone[0]
