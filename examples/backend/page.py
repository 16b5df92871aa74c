"""The messages page and its two routes: the users to choose from, and the rows of a conversation.

It is served only with the login by header, so only on your own machine.
"""

from contextlib import suppress
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, jsonify, request

from cruddur_messages import dynamodb, schema
from cruddur_messages.items import MESSAGE, GroupRow, MalformedItemError, text_or_empty
from cruddur_messages.store import MessageStore

from .login import Login
from .users import Users

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HOSTS = ["127.0.0.1", "localhost"]
"""The host names that a browser may use. Others are refused, against DNS rebinding."""

NEWEST_MESSAGES = 4


def page(*, store: MessageStore, users: Users, login: Login, client: "DynamoDBClient", table_name: str) -> Blueprint:
    """The page at `/` and its two routes; only members get the rows of a conversation."""
    view = Blueprint("page", __name__, static_folder="web", static_url_path="/web")

    @view.get("/")
    def index() -> Response:
        return view.send_static_file("index.html")

    @view.get("/api/users")
    def everybody() -> Response:
        return jsonify([asdict(user) for user in users.all()])

    @view.get("/api/rows/<message_group_uuid>")
    def rows(message_group_uuid: str) -> Response:
        me = login.user(request.headers) or abort(HTTPStatus.UNAUTHORIZED)
        messages = store.get_conversation(message_group_uuid, limit=NEWEST_MESSAGES, reader_uuid=me.uuid).items
        found = [
            {"pk": schema.message_partition(message_group_uuid), "sk": line.sort_key, "message": line.message}
            for line in messages
        ]
        for row in _group_rows(client, table_name, message_group_uuid):
            owner = users.by_uuid(row.member_uuid)
            found.append(
                {
                    "pk": row.partition,
                    "sk": row.sort_key,
                    "message": text_or_empty(row.attributes, MESSAGE),
                    "handle": owner.handle if owner else "",
                    "display_name": owner.display_name if owner else row.member_uuid,
                }
            )
        return jsonify(sorted(found, key=lambda row: (row["pk"], row["sk"])))

    return view


def _group_rows(client: "DynamoDBClient", table_name: str, message_group_uuid: str) -> list[GroupRow]:
    rows = []
    for item in dynamodb.items(client.query, TableName=table_name, **dynamodb.of_conversation(message_group_uuid)):
        with suppress(MalformedItemError):
            rows.append(GroupRow.from_attributes(item))
    return rows
