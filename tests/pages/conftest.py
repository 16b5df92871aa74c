"""A backend on a real engine, with four users."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from cruddur_messages.items import User
from cruddur_messages.projection.filters import patterns
from cruddur_messages.projection.records import fold
from cruddur_messages.projection.settler import Settler
from cruddur_messages.store import MessageStore
from examples.backend.app import create_app
from examples.backend.login import USER_HEADER, HeaderLogin
from examples.backend.page import HOSTS, page
from examples.backend.users import UsersOfFile
from tests.access_patterns.people import person
from tests.engines import tables
from tests.engines.fixtures import CruddurTable
from tests.projection.event_source_mapping import Lane
from tests.projection.poller import Poller

HANDLES = ("ann", "bo", "cy", "dee")


def projection_of(table: CruddurTable) -> Callable[[], None]:
    """The projection without Lambda: a call settles everything that was written."""
    poller = Poller(
        streams=tables.streams(table.endpoint),
        stream_arn=table.client.describe_table(TableName=table.name)["Table"]["LatestStreamArn"],
        patterns=patterns(),
        lanes=[Lane(retries=None)],
        batch_size=100,
    )

    def handler(event: dict[str, object]) -> object:
        projection = Settler(client=table.client, table_name=table.name, seconds_left=lambda: math.inf)
        records: Any = event["Records"]
        settlements = projection.settle_all(fold(records).dirty)
        assert [settlement.failure for settlement in settlements if settlement.failure] == []
        return {"batchItemFailures": []}

    return lambda: poller.drain(handler, is_done=lambda: True)


@dataclass(frozen=True)
class Backend:
    """The app, and the calls of its users."""

    app: Flask
    people: dict[str, User]
    table: CruddurTable
    settle: Callable[[], None]

    def get(self, handle: str | None, path: str) -> TestResponse:
        """The response to a GET; without a handle nobody is logged in."""
        return self.app.test_client().get(path, headers=headers(handle))

    def post(self, handle: str | None, path: str, body: object) -> TestResponse:
        """The response to a POST of JSON."""
        return self.call("POST", handle, path, body)

    def call(self, method: str, handle: str | None, path: str, body: object = None) -> TestResponse:
        """The response to a request of any method, with JSON if there is a body."""
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
    return Backend(app, people, cruddur_table, projection_of(cruddur_table))
