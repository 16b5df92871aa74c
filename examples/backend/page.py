"""The messages page and its routes: the users to choose from, and the members and rows of a conversation.

It is served only with the login by header, so only on your own machine.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, jsonify, request

from cruddur_messages import conversation_item, schema
from cruddur_messages.conversation_item import VERSION, ConversationItem
from cruddur_messages.dynamodb import rows_in_index
from cruddur_messages.items import MESSAGE, GroupRow, User, key_of, text_or_empty
from cruddur_messages.store import MessageStore, errors

from .login import Login
from .users import Users

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HOSTS = ["127.0.0.1", "localhost"]
"""The host names that a browser may use. Others are refused, against DNS rebinding."""

NEWEST_MESSAGES = 4
SHOWN_OF_VERSION = 8


def page(*, store: MessageStore, users: Users, login: Login, client: "DynamoDBClient", table_name: str) -> Blueprint:
    """The page at `/` and its three routes; only members get the rows and members of a conversation."""
    view = Blueprint("page", __name__, static_folder="web", static_url_path="/web")

    @view.get("/")
    def index() -> Response:
        return view.send_static_file("index.html")

    @view.get("/api/users")
    def everybody() -> Response:
        return jsonify([asdict(user) for user in users.all()])

    def me() -> User:
        return login.user(request.headers) or abort(HTTPStatus.UNAUTHORIZED)

    def group_rows(message_group_uuid: str) -> Iterator[tuple[GroupRow, dict[str, str]]]:
        """The rows, each with handle and name of its owner; the id is the name of who is unknown."""
        people = {user.uuid: user for user in users.all()}
        for row in rows_in_index(client.query, table_name, message_group_uuid):
            owner = people.get(row.member_uuid, User(row.member_uuid, display_name=row.member_uuid, handle=""))
            yield row, {"handle": owner.handle, "display_name": owner.display_name}

    @view.get("/api/members")
    def members() -> Response:
        asking, found = me(), {}
        for message_group_uuid in request.args.getlist("of"):
            # The index may still show the row of a person who has left.
            with suppress(errors.NotAMemberError):
                store.require_member(message_group_uuid, asking.uuid)
                found[message_group_uuid] = [owner for _, owner in group_rows(message_group_uuid)]
        return jsonify(found)

    @view.get("/api/rows/<message_group_uuid>")
    def rows(message_group_uuid: str) -> Response:
        messages = store.get_conversation(message_group_uuid, limit=NEWEST_MESSAGES, reader_uuid=me().uuid).items
        found = [
            {"pk": schema.message_partition(message_group_uuid), "sk": line.sort_key, "message": line.message}
            for line in messages
        ]
        item = client.get_item(TableName=table_name, Key=conversation_item.key(message_group_uuid)).get("Item")
        if item:
            pk, sk = key_of(item)
            places = ConversationItem.from_attributes(item).rows
            version = text_or_empty(item, VERSION)[:SHOWN_OF_VERSION]
            found.append({"pk": pk, "sk": sk, "message": f"version {version}…, {len(places)} rows"})
        for row, owner in group_rows(message_group_uuid):
            place = {"pk": row.partition, "sk": row.sort_key, "message": text_or_empty(row.attributes, MESSAGE)}
            found.append(place | owner)
        return jsonify(sorted(found, key=lambda row: (row["pk"], row["sk"])))

    return view
