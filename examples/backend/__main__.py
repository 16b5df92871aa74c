"""Serve the backend on this machine until Ctrl-C. Environment variables name the table, the users and the login.

They are `DDB_TABLE_NAME`, `KEEP_DAYS`, boto3's own variables, `DATABASE_URL`, `FRONTEND_URL`, `COGNITO_USER_POOL_ID`
and `COGNITO_USER_POOL_CLIENT_ID`.
"""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Mapping

import boto3
import psycopg
import waitress
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from flask import Flask

from cruddur_messages import schema
from cruddur_messages.store import MessageStore
from cruddur_messages.store.reading import SIDE_BY_SIDE

from .app import create_app
from .login import CognitoLogin, HeaderLogin
from .page import HOSTS, page
from .users import UsersOfFile, UsersOfPostgres

HOST = "127.0.0.1"
PORT = 4567
THREADS = 8

# A person waits for the response, so a table that does not respond must fail soon.
CLIENT_CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=THREADS * SIDE_BY_SIDE,
)


def app_of(environment: Mapping[str, str]) -> Flask:
    """The app that the environment describes. Raises ValueError, BotoCoreError, psycopg.Error."""
    # boto3 itself does not read AWS_REGION, the variable that ECS and Lambda set.
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or None
    client = boto3.client("dynamodb", region_name=region, config=CLIENT_CONFIG)
    table_name = environment.get("DDB_TABLE_NAME") or schema.TABLE_NAME
    keep_days = environment.get("KEEP_DAYS") or "0"
    if not (keep_days.isascii() and keep_days.isdigit()):
        raise ValueError(
            f"KEEP_DAYS is {keep_days[:80]!r}: give a whole number of days, or 0 to keep messages for ever"
        )
    store = MessageStore(client=client, table_name=table_name, keep_days=int(keep_days))
    database = environment.get("DATABASE_URL")
    frontend = environment.get("FRONTEND_URL")
    user_pool_id = environment.get("COGNITO_USER_POOL_ID")
    if user_pool_id:
        client_id = environment.get("COGNITO_USER_POOL_CLIENT_ID")
        if not database or not client_id:
            raise ValueError("COGNITO_USER_POOL_ID is set: set COGNITO_USER_POOL_CLIENT_ID and DATABASE_URL as well")
        accounts = UsersOfPostgres(database)
        verified = CognitoLogin(user_pool_id=user_pool_id, client_id=client_id, by_cognito_id=accounts.by_cognito_id)
        return create_app(store=store, users=accounts, login=verified, frontend=frontend)
    users = UsersOfPostgres(database) if database else UsersOfFile()
    login = HeaderLogin(users.by_handle)
    app = create_app(store=store, users=users, login=login, frontend=frontend)
    app.config["TRUSTED_HOSTS"] = HOSTS
    app.register_blueprint(page(store=store, users=users, login=login, client=client, table_name=table_name))
    return app


def main() -> None:
    """Serve; an error that a person can fix is one line on standard error, and exit status 1."""
    parser = argparse.ArgumentParser(prog="backend", description="The messages page and its API, on this machine.")
    parser.add_argument("--port", type=int, help=f"the port to listen on; {PORT} if it is free, else any")
    port = parser.parse_args().port
    try:
        app = app_of(os.environ)
    except (ValueError, BotoCoreError, psycopg.Error) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    try:
        listening = _listen(port)
    except (OSError, OverflowError) as error:
        sys.exit(f"error: cannot listen on port {port} ({error}); choose another one with make pages PORT=<number>")
    what = "Messages" if "page" in app.blueprints else "API"
    print(f"{what}: http://{HOST}:{listening.getsockname()[1]}/  (Ctrl-C ends it)", flush=True)  # noqa: T201
    # waitress warns about a queued request, also about one that arrives while its own threads still start.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(app, sockets=[listening], threads=THREADS, ident=None)


def _listen(port: int | None) -> socket.socket:
    if port is not None:
        return socket.create_server((HOST, port))
    try:
        return socket.create_server((HOST, PORT))
    except OSError:
        return socket.create_server((HOST, 0))


if __name__ == "__main__":
    main()
