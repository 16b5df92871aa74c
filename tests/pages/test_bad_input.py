"""A refused request returns the bootcamp's error format or a plain status, never a stack trace."""

from typing import Any

import pytest

from cruddur_messages.items import User
from cruddur_messages.store import MessageStore
from examples.backend.app import MAX_BODY_BYTES, create_app
from examples.backend.login import HeaderLogin
from examples.backend.users import UsersOfFile
from tests.engines.fixtures import CruddurTable
from tests.pages.conftest import Backend, body_of, headers

pytestmark = pytest.mark.parametrize("cruddur_table", ["ministack"], indirect=True)
"""The backend itself refuses these requests, so one engine suffices."""

NOWHERE = "00000000-0000-0000-0000-000000000000"
SECRET = "nobody else may read this"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"handle": "nobody", "message": "hi"}, 404, "user_unknown"),
        ({"handle": ["bo", "nobody"], "message": "hi"}, 404, "user_unknown"),
        ({"handle": "", "message": "hi"}, 422, "user_reciever_handle_blank"),
        ({"handle": 7, "message": "hi"}, 422, "user_reciever_handle_blank"),
        ({"message": "hi"}, 422, "user_reciever_handle_blank"),
        ({"handle": [], "message": "hi"}, 422, "members_too_few"),
        ({"handle": ["bo", "bo"], "message": "hi"}, 422, "member_repeated"),
        ({"handle": "ann", "message": "hi"}, 422, "member_repeated"),
        ({"handle": ["bo"] * 200, "message": "hi"}, 422, "members_too_many"),
        ({"handle": "bo", "message": ""}, 422, "message_blank"),
        ({"handle": "bo", "message": ["hi"]}, 422, "message_blank"),
        ({"handle": "bo"}, 422, "message_blank"),
        ({"handle": "bo", "message": "x" * 1025}, 422, "message_exceed_max_chars"),
        ({"message_group_uuid": {"S": "7"}, "message": "hi"}, 422, "uuid_invalid"),
        ({"message_group_uuid": NOWHERE, "message": "hi"}, 403, "not_a_member"),
    ],
)
def test_a_message_is_refused_and_nothing_written(
    backend: Backend, body: dict[str, object], status: int, code: str
) -> None:
    refused = backend.post("ann", "/api/messages", body)
    assert (refused.status_code, refused.json) == (status, {"errors": [code]})
    assert backend.table.client.scan(TableName=backend.table.name)["Count"] == 0


@pytest.mark.parametrize("cursor", ["", "x" * 5000, "nonsense", "%00", "2026"])
def test_a_bad_cursor_is_refused(backend: Backend, cursor: str) -> None:
    """Of an inbox, any key may be a cursor: a row may have one that is no time."""
    of_messages = f"/api/messages/{backend.start('ann', 'bo', 'hello')}"
    for path in (of_messages,) if cursor in ("nonsense", "%00", "2026") else (of_messages, "/api/message_groups"):
        refused = backend.get("ann", f"{path}?before={cursor}")
        assert (refused.status_code, refused.json) == (422, {"errors": ["cursor_invalid"]})


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ("", "application/json", 400),
        ('"text"', "application/json", 400),
        ("[]", "application/json", 400),
        ("[" * 60_000, "application/json", 400),
        (b"\xff\xfe\x00", "application/json", 400),
        ('{"handle": "bo", "message": "\\ud800"}', "application/json", 400),
        ("handle=bo&message=hi", "application/x-www-form-urlencoded", 415),
        ("x" * (MAX_BODY_BYTES + 1), "application/json", 413),
    ],
    ids=["cut off", "empty", "text", "list", "nested", "no UTF-8", "no text", "form", "too long"],
)
def test_a_body_that_is_not_a_json_object_is_refused(
    backend: Backend, data: str | bytes, content_type: str, status: int
) -> None:
    refused = backend.app.test_client().post(
        "/api/messages", headers=headers("ann"), data=data, content_type=content_type
    )
    assert refused.status_code == status
    assert body_of(refused).keys() == {"errors"}
    assert backend.table.client.scan(TableName=backend.table.name)["Count"] == 0


def test_only_members_read_a_conversation_and_send_to_it(backend: Backend) -> None:
    group = backend.start("ann", "bo", SECRET)
    backend.settle()
    assert backend.inbox("cy") == []
    answers = [
        backend.get("cy", f"/api/messages/{group}"),
        backend.get("cy", f"/api/rows/{group}"),
        backend.post("cy", "/api/messages", {"message_group_uuid": group, "message": "let me in"}),
        backend.post("cy", f"/api/message_groups/{group}/members", {"handle": "cy"}),
    ]
    assert [(response.status_code, response.json) for response in answers] == [(403, {"errors": ["not_a_member"]})] * 4
    assert body_of(backend.get("cy", f"/api/members?of={group}")) == {}
    assert [line["message"] for line in backend.messages("ann", group)] == [SECRET]
    assert backend.inbox("cy") == []


@pytest.mark.parametrize("handle", [None, "", "nobody", "%00", "Ann"])
def test_a_visitor_without_login_sees_nothing(backend: Backend, handle: str | None) -> None:
    group = backend.start("ann", "bo", SECRET)
    for response in (
        backend.get(handle, "/api/message_groups"),
        backend.get(handle, f"/api/messages/{group}"),
        backend.get(handle, f"/api/rows/{group}"),
        backend.get(handle, f"/api/members?of={group}"),
        backend.post(handle, "/api/messages", {"message_group_uuid": group, "message": "hi"}),
        backend.post(handle, f"/api/message_groups/{group}/members", {"handle": "cy"}),
    ):
        assert (response.status_code, response.json) == (401, {"errors": ["unauthorized"]})


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/messages/7", 422, "uuid_invalid"),
        (f"/api/messages/{NOWHERE}", 403, "not_a_member"),
        (f"/api/rows/{NOWHERE}", 403, "not_a_member"),
        ("/api/members?of=", 422, "uuid_invalid"),
        (f"/api/members?of={NOWHERE}&of={'x' * 5000}", 422, "uuid_invalid"),
        ("/api/users/@nobody/short", 404, "user_unknown"),
        ("/api/messages", 405, "method_not_allowed"),
        ("/api/nothing", 404, "not_found"),
        ("/web/../app.py", 404, "not_found"),
        ("/web/%2e%2e/app.py", 404, "not_found"),
    ],
)
def test_an_unknown_address_is_not_found(backend: Backend, path: str, status: int, code: str) -> None:
    response = backend.get("ann", path)
    assert (response.status_code, response.json) == (status, {"errors": [code]})


def test_a_missing_table_is_reported_as_unavailable(cruddur_table: CruddurTable) -> None:
    users = UsersOfFile()
    app = create_app(
        store=MessageStore(client=cruddur_table.client, table_name="no-such-table"),
        users=users,
        login=HeaderLogin(users.by_handle),
    )
    response = app.test_client().get("/api/message_groups", headers=headers("bayko"))
    assert (response.status_code, response.json) == (503, {"errors": ["unavailable"]})


def test_a_fault_of_the_backend_is_logged_and_not_shown(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    def stumbling(_: str) -> User | None:
        raise KeyError(SECRET)

    users = UsersOfFile()
    login: Any = HeaderLogin(stumbling)
    store = MessageStore(client=backend.table.client, table_name=backend.table.name)
    response = create_app(store=store, users=users, login=login).test_client().get("/api/message_groups")
    assert (response.status_code, response.json) == (500, {"errors": ["internal_server_error"]})
    assert SECRET in caplog.text
