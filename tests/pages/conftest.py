"""A backend on a real engine, with four users."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from cruddur_cli import settlement
from cruddur_messages import schema
from cruddur_messages.items import User
from cruddur_messages.store import MessageStore
from examples.backend.app import create_app
from examples.backend.login import USER_HEADER, HeaderLogin
from examples.backend.page import HOSTS, page
from examples.backend.users import UsersOfFile
from tests.access_patterns.people import items_of, person
from tests.engines import postgres
from tests.engines.fixtures import CruddurTable

ACCOUNTS = {
    User("9d1f5c0e-1a2b-4c3d-8e4f-000000000001", "Ann", "ann"): "account-of-ann",
    User("9d1f5c0e-1a2b-4c3d-8e4f-000000000002", "O'Neil; DROP TABLE users", "o'neil"): "account-of-nell",
}
HANDLES = ("ann", "bo", "cy", "dee")


@dataclass(frozen=True)
class Backend:
    """The app, and the calls of its users."""

    app: Flask
    people: dict[str, User]
    table: CruddurTable

    def get(self, handle: str | None, path: str) -> TestResponse:
        """The response to a GET."""
        return self.call("GET", handle, path)

    def post(self, handle: str | None, path: str, body: object) -> TestResponse:
        """The response to a POST of JSON."""
        return self.call("POST", handle, path, body)

    def call(self, method: str, handle: str | None, path: str, body: object = None) -> TestResponse:
        """The response to a request, with JSON if there is a body; without a handle nobody is logged in."""
        return self.app.test_client().open(path, method=method, headers=headers(handle), json=body)

    def start(self, handle: str, with_handle: str | list[str], message: str) -> str:
        """Start a conversation, as the bootcamp's page for new messages does, and return its id."""
        started = self.post(handle, "/api/messages", {"handle": with_handle, "message": message})
        assert (started.status_code, list(body_of(started))) == (200, ["message_group_uuid"]), started.text
        return str(body_of(started)["message_group_uuid"])

    def send(self, handle: str, group: str, message: str) -> dict[str, str]:
        """Send a message into a conversation, as the bootcamp's page does, and return the response."""
        sent = self.post(handle, "/api/messages", {"message_group_uuid": group, "message": message})
        assert sent.status_code == 200, sent.text
        response: dict[str, str] = body_of(sent)
        return response

    def everything(self, handle: str, path: str) -> list[list[dict[str, str]]]:
        """The pages of a list, newest first."""
        pages = []
        following: str | None = path
        while following is not None:
            response = self.get(handle, following)
            assert response.status_code == 200, response.text
            assert body_of(response) not in pages, f"{following} is a page that was there before"
            pages.append(body_of(response))
            link = response.headers.get("Link")
            following = link.removeprefix("<").removesuffix('>; rel="next"') if link else None
        return pages

    def settle(self) -> None:
        """Settle every conversation, as the projection does."""
        pks = [item[schema.PARTITION_KEY]["S"] for item in items_of(self.table)]
        groups = {pk.removeprefix("MSG#") for pk in pks if pk.startswith("MSG#")}
        assert settlement.settle(self.table.client, self.table.name, groups) == {}

    def inbox(self, handle: str) -> list[dict[str, Any]]:
        """A user's conversations after everything is settled."""
        self.settle()
        return [line for page in self.everything(handle, "/api/message_groups") for line in page]

    def messages(self, handle: str, group: str) -> list[dict[str, str]]:
        """The messages of a conversation, oldest first."""
        return [line for page in reversed(self.everything(handle, f"/api/messages/{group}")) for line in page]


def body_of(response: TestResponse) -> Any:
    """The JSON of a response."""
    return response.json


def headers(handle: str | None) -> dict[str, str]:
    """The header that names the user."""
    return {} if handle is None else {USER_HEADER: handle}


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Postgres with the users of ACCOUNTS."""
    with postgres.running(tmp_path_factory.mktemp("postgres"), ACCOUNTS) as url:
        yield url


@pytest.fixture
def backend(cruddur_table: CruddurTable, tmp_path: Path) -> Backend:
    """The backend and its page, on an empty table of each engine."""
    people = {handle: person(handle) for handle in HANDLES}
    file = tmp_path / "users.json"
    file.write_text(json.dumps([vars(user) for user in people.values()]))
    users = UsersOfFile(file)
    store = MessageStore(client=cruddur_table.client, table_name=cruddur_table.name)
    login = HeaderLogin(users.by_handle)
    app = create_app(store=store, users=users, login=login)
    app.config["TRUSTED_HOSTS"] = HOSTS
    app.register_blueprint(
        page(store=store, users=users, login=login, client=cruddur_table.client, table_name=cruddur_table.name)
    )
    return Backend(app, people, cruddur_table)
