"""The bootcamp's calls in the JSON of its pages, and both inboxes after each call."""

import re
import uuid
from urllib.parse import quote

from cruddur_messages.store import CONVERSATIONS_ON_A_PAGE
from tests.access_patterns.test_paging import put_row
from tests.pages.conftest import Backend, body_of

LINE = {"uuid", "display_name", "handle", "message", "created_at"}


def test_two_people_send_messages(backend: Backend) -> None:
    group = backend.start("ann", "bo", "hello")
    (ann_sees,), (bo_sees,) = backend.inbox("ann"), backend.inbox("bo")
    assert ann_sees.keys() == bo_sees.keys() == LINE | {"is_group", "can_leave", "unread"}
    assert (ann_sees["uuid"], ann_sees["handle"], ann_sees["display_name"], ann_sees["message"]) == (
        group, "bo", "Bo", "hello",
    )  # fmt: skip
    assert (bo_sees["uuid"], bo_sees["handle"], bo_sees["message"]) == (group, "ann", "hello")

    sent = backend.send("bo", group, "hi")
    assert sent.keys() == LINE | {"message_group_uuid"}
    assert sent == {
        "message_group_uuid": group, "uuid": backend.people["bo"].uuid, "handle": "bo", "display_name": "Bo",
        "message": "hi", "created_at": sent["created_at"],
    }  # fmt: skip
    for handle in ("ann", "bo"):
        (line,) = backend.inbox(handle)
        assert (line["message"], line["created_at"]) == ("hi", sent["created_at"])
        messages = backend.messages(handle, group)
        assert [message.keys() for message in messages] == [LINE, LINE]
        assert [(message["handle"], message["message"]) for message in messages] == [("ann", "hello"), ("bo", "hi")]


def test_a_group_sends_messages_and_one_more_joins(backend: Backend) -> None:
    group = backend.start("ann", ["bo", "cy"], "all of us")
    for handle in ("ann", "bo", "cy"):
        assert [line["message"] for line in backend.inbox(handle)] == ["all of us"]
    assert backend.inbox("dee") == []
    joined = backend.post("bo", f"/api/message_groups/{group}/members", {"handle": "dee"})
    assert joined.json == vars(backend.people["dee"])
    assert [line["message"] for line in backend.inbox("dee")] == ["all of us"]
    backend.send("dee", group, "thank you")
    for handle in ("ann", "bo", "cy", "dee"):
        assert [line["message"] for line in backend.inbox(handle)] == ["thank you"]
        assert [line["message"] for line in backend.messages(handle, group)] == ["all of us", "thank you"]


def test_a_message_is_edited_and_deleted_by_its_author(backend: Backend) -> None:
    group = backend.start("ann", "bo", "first")
    backend.send("ann", group, "secnod")
    message = backend.messages("ann", group)[-1]
    path, at = f"/api/messages/{group}/{message['uuid']}", {"created_at": message["created_at"]}
    refused = backend.call("PATCH", "bo", path, {**at, "message": "mine"})
    assert (refused.status_code, refused.json) == (403, {"errors": ["not_the_author"]})
    edited = body_of(backend.call("PATCH", "ann", path, {**at, "message": "second"}))
    expected = {**message, "message": "second", "edited_at": edited["edited_at"]}
    assert edited == expected == backend.messages("bo", group)[-1]
    assert backend.inbox("bo")[0]["message"] == "second"
    removal = f"{path}?created_at={quote(message['created_at'])}"
    assert [backend.call("DELETE", "ann", removal).status_code for _ in range(2)] == [204, 404]
    assert backend.inbox("bo")[0]["message"] == "first"


def test_members_leave_a_group_and_not_a_conversation_of_two(backend: Backend) -> None:
    group, pair = backend.start("ann", ["bo", "cy"], "all of us"), backend.start("ann", "bo", "two of us")
    assert [(line["is_group"], line["can_leave"]) for line in backend.inbox("bo")] == [(False, False), (True, True)]
    refused = backend.call("DELETE", "bo", f"/api/message_groups/{pair}/members/me")
    assert (refused.status_code, refused.json) == (422, {"errors": ["conversation_of_two"]})
    assert backend.call("DELETE", "bo", f"/api/message_groups/{group}/members/me").status_code == 204
    assert [line["uuid"] for line in backend.inbox("bo")] == [pair]
    for path in (f"/api/messages/{group}", f"/api/rows/{group}"):
        assert backend.get("bo", path).status_code == 403
    assert backend.post("cy", f"/api/message_groups/{group}/members", {"handle": "bo"}).status_code == 200
    assert [message["message"] for message in backend.messages("bo", group)] == ["all of us"]


def test_unread_messages_are_counted_until_they_are_read(backend: Backend) -> None:
    group = backend.start("ann", "bo", "one")
    for number in range(2):
        sent = backend.send("ann", group, str(number))
    assert [backend.inbox(handle)[0]["unread"] for handle in ("ann", "bo")] == [0, 3]
    for body, status in (({"up_to": sent["created_at"]}, 204), ({}, 422), ({"up_to": 3}, 422)):
        assert backend.call("PUT", "bo", f"/api/message_groups/{group}/read", body).status_code == status
    assert backend.inbox("bo")[0]["unread"] == 0
    assert backend.call("PUT", "cy", f"/api/message_groups/{group}/read", {"up_to": "2030"}).status_code == 422
    refused = backend.call("PUT", "cy", f"/api/message_groups/{group}/read", {"up_to": sent["created_at"]})
    assert (refused.status_code, refused.json) == (403, {"errors": ["not_a_member"]})


def test_messages_come_page_by_page(backend: Backend) -> None:
    group = backend.start("ann", "bo", "0")
    for number in range(1, 60):
        backend.send("ann", group, str(number))
    pages = backend.everything("bo", f"/api/messages/{group}")
    texts = [[line["message"] for line in page] for page in pages]
    assert texts == [[str(number) for number in range(20, 60)], [str(number) for number in range(20)]]


def test_conversations_come_page_by_page(backend: Backend) -> None:
    groups = [backend.start("ann", ["bo", "cy"], str(number)) for number in range(25)]
    backend.settle()
    for number in range(CONVERSATIONS_ON_A_PAGE):
        put_row(backend.table, backend.people["cy"], f"no time {number}", str(uuid.uuid4()), message="x")
    pages = backend.everything("cy", "/api/message_groups")
    assert [[line["uuid"] for line in page] for page in pages[1:]] == [groups[:4:-1], groups[4::-1]]


def test_the_page_learns_who_is_in_a_conversation(backend: Backend) -> None:
    with_bo, with_cy = backend.start("ann", ["bo", "dee"], "hello"), backend.start("ann", "cy", "hello")
    backend.settle()
    members = body_of(backend.get("bo", f"/api/members?of={with_bo}&of={with_cy}"))
    assert members.keys() == {with_bo}
    assert sorted(member["handle"] for member in members[with_bo]) == ["ann", "bo", "dee"]
    assert {member["display_name"] for member in members[with_bo]} == {"Ann", "Bo", "Dee"}
    assert body_of(backend.get("bo", "/api/members")) == {}


def test_the_routes_of_the_page(backend: Backend) -> None:
    group = backend.start("ann", "bo", "hello")
    backend.settle()
    assert [user["handle"] for user in body_of(backend.get(None, "/api/users"))] == ["ann", "bo", "cy", "dee"]
    rows = body_of(backend.get("bo", f"/api/rows/{group}"))
    (item,) = [row for row in rows if row["pk"] == f"CONV#{group}"]
    assert {(row["pk"][:4], row["message"], row.get("handle")) for row in rows} == {
        ("GRP#", "hello", "ann"), ("GRP#", "hello", "bo"), ("MSG#", "hello", None), ("CONV", item["message"], None),
    }  # fmt: skip
    assert item["sk"] == "CONV"
    assert re.fullmatch(r"version [0-9a-f]{8}…, 2 rows", item["message"])
    index = backend.get(None, "/")
    assert index.content_type.startswith("text/html")
    assert "default-src 'self'" in index.headers["Content-Security-Policy"]
