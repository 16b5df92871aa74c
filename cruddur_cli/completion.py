"""Shell completion of handles, conversations, tables and files.

It never fails and never waits for AWS: if a lookup fails, it offers nothing.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from cruddur_cli import target, users
from cruddur_cli.context import Context

MOST_OFFERED = 50


def _local_offers(context: Context, incomplete: str, offers: Callable[[Context], Iterable[str]]) -> list[str]:
    """What starts with the typed text; nothing if the command acts on AWS."""
    with suppress(Exception):
        if not context.params.get("prod"):
            return [offer for offer in offers(context) if offer.startswith(incomplete)][:MOST_OFFERED]
    return []


def handles(incomplete: str) -> list[str]:
    """The users' handles, with an @ if the user typed one."""
    at = "@" if incomplete.startswith("@") else ""
    users_path = None
    with suppress(Exception):
        users_path = target.resolve(prod=False, table_name=None).system.get("users_file")
    with suppress(Exception):
        offered = (at + user.handle for user in users.open_users(users_path).all())
        return [handle for handle in offered if handle.lower().startswith(incomplete.lower())][:MOST_OFFERED]
    return []


def conversations(context: Context, incomplete: str) -> list[str]:
    """The conversations in the inbox of the command, by the other person and by id."""
    return _local_offers(context, incomplete, _names_in_inbox)


def _names_in_inbox(context: Context) -> Iterable[str]:
    reader = context.user(context.params.get("of") or context.params.get("sender"))
    lines = context.store.list_conversations(reader.uuid).items
    yield from dict.fromkeys(line.other.handle for line in lines if line.other.handle)
    yield from (line.message_group_uuid for line in lines)


def tables(context: Context, incomplete: str) -> list[str]:
    """The names of all tables."""
    return _local_offers(context, incomplete, lambda context: context.client.list_tables()["TableNames"])


def files(incomplete: str) -> list[str]:
    """Files and directories."""
    typed = Path(incomplete)
    directory = typed if incomplete.endswith("/") or not incomplete else typed.parent
    with suppress(OSError):
        return [f"{path}/" if path.is_dir() else str(path) for path in sorted(directory.iterdir())]
    return []
