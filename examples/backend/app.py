"""The bootcamp's routes for messages, on the store, and those to edit, delete, leave and mark as read beside them.

A refused request returns `{"errors": [code]}`, no stack trace.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import jwt
import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request, url_for
from flask_cors import CORS
from werkzeug.exceptions import HTTPException

from cruddur_messages import schema, timestamps
from cruddur_messages.items import Message, User
from cruddur_messages.store import MAX_FIRST_MEMBERS, Conversation, MessageStore, Page, errors

from .login import USER_HEADER, Login
from .users import Users

MAX_BODY_BYTES = 64 * 1024

STATUS_OF_CODE = {
    "message_unknown": HTTPStatus.NOT_FOUND,
    "not_a_member": HTTPStatus.FORBIDDEN,
    "not_the_author": HTTPStatus.FORBIDDEN,
    "user_unknown": HTTPStatus.NOT_FOUND,
}
"""Any other refusal is 422, as in the bootcamp."""

CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class UnknownUserError(errors.RejectedError):
    """No user has this handle."""

    code = "user_unknown"


class HandleBlankError(errors.RejectedError):
    """A new conversation without a recipient."""

    code = "user_reciever_handle_blank"  # spelled as in the bootcamp


def create_app(*, store: MessageStore, users: Users, login: Login, frontend: str | None = None) -> Flask:
    """The app, with the store, users and login that it uses; `frontend` is the origin of pages served elsewhere."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.register_blueprint(_routes(store, users, login))
    app.register_error_handler(errors.RejectedError, _refused)
    app.register_error_handler(HTTPException, _failed)
    for gone in (BotoCoreError, ClientError, errors.ContendedError, psycopg.Error, jwt.PyJWKClientConnectionError):
        app.register_error_handler(gone, _unavailable)
    app.after_request(_with_security_headers)
    if frontend:
        CORS(
            app,
            resources={r"/api/*": {"origins": [frontend.rstrip("/")]}},
            allow_headers=["Authorization", "Content-Type", USER_HEADER],
            expose_headers="Link",
        )
    return app


def _routes(store: MessageStore, users: Users, login: Login) -> Blueprint:
    api = Blueprint("api", __name__, url_prefix="/api")

    def me() -> User:
        return login.user(request.headers) or abort(HTTPStatus.UNAUTHORIZED)

    def user_of(handle: object) -> User:
        if not isinstance(handle, str) or not handle:
            raise HandleBlankError("name the handle of a user")
        user = users.by_handle(handle)
        if user is None:
            raise UnknownUserError(f"nobody has the handle {handle[:80]!r}")
        return user

    @api.get("/message_groups")
    def message_groups() -> Response:
        reader = me()
        page = store.list_conversations(reader.uuid, before=request.args.get("before"))
        unread = store.unread(reader.uuid, page.items)
        return _page_of([_conversation(line, unread[line.message_group_uuid]) for line in page.items], page)

    @api.get("/messages/<message_group_uuid>")
    def messages(message_group_uuid: str) -> Response:
        before = request.args.get("before")
        if before is not None and timestamps.parse(before) is None:
            raise errors.InvalidCursorError(before)
        page = store.get_conversation(message_group_uuid, before=before, reader_uuid=me().uuid)
        return _page_of([_message(message) for message in page.items], page)

    @api.post("/messages")
    def create_message() -> Response:
        sender, body = me(), _body()
        message_group_uuid, message = body.get("message_group_uuid"), body.get("message", "")
        if message_group_uuid is not None:
            sent = store.send(message_group_uuid, sender=sender, message=message, check_member=True)
            return jsonify({"message_group_uuid": message_group_uuid, **_message(sent), "uuid": sender.uuid})
        # The bootcamp's page names one person; ours may name several.
        named = body.get("handle")
        handles = named if isinstance(named, list) else [named]
        if len(handles) >= MAX_FIRST_MEMBERS:
            raise errors.TooManyMembersError(len(handles) + 1, MAX_FIRST_MEMBERS)
        others = [user_of(handle) for handle in handles]
        started = store.start_conversation([sender, *others], sender=sender, message=message)
        return jsonify({"message_group_uuid": started.message_group_uuid})

    @api.post("/message_groups/<message_group_uuid>/members")
    def add_member(message_group_uuid: str) -> Response:
        asking, member = me(), user_of(_body().get("handle"))
        store.add_member(message_group_uuid, member, asked_by=asking.uuid)
        return jsonify(asdict(member))

    @api.delete("/message_groups/<message_group_uuid>/members/me")
    def leave(message_group_uuid: str) -> tuple[str, HTTPStatus]:
        store.leave(message_group_uuid, me().uuid)
        return "", HTTPStatus.NO_CONTENT

    @api.put("/message_groups/<message_group_uuid>/read")
    def mark_read(message_group_uuid: str) -> tuple[str, HTTPStatus]:
        store.mark_read(message_group_uuid, me().uuid, up_to=_body().get("up_to", ""))
        return "", HTTPStatus.NO_CONTENT

    @api.patch("/messages/<message_group_uuid>/<message_uuid>")
    def edit_message(message_group_uuid: str, message_uuid: str) -> Response:
        editor, body = me(), _body()
        edited = store.edit(
            message_group_uuid,
            body.get("created_at", ""),
            message_uuid=message_uuid,
            editor=editor.uuid,
            message=body.get("message", ""),
        )
        return jsonify(_message(edited))

    @api.delete("/messages/<message_group_uuid>/<message_uuid>")
    def delete_message(message_group_uuid: str, message_uuid: str) -> tuple[str, HTTPStatus]:
        created_at = request.args.get("created_at", "")
        store.delete(message_group_uuid, created_at, message_uuid=message_uuid, by=me().uuid)
        return "", HTTPStatus.NO_CONTENT

    @api.get("/users/@<handle>/short")
    def user_short(handle: str) -> Response:
        return jsonify(asdict(user_of(handle)))

    return api


def _conversation(line: Conversation, unread: int) -> dict[str, Any]:
    return {
        "uuid": line.message_group_uuid,
        "display_name": line.other.display_name,
        "handle": line.other.handle,
        "message": line.message,
        "created_at": line.last_message_at,
        "is_group": line.is_group,
        "can_leave": line.is_group or line.other.uuid == schema.ERASED,
        "unread": unread,
    }


def _message(message: Message) -> dict[str, str]:
    return {
        "uuid": message.message_uuid,
        "display_name": message.sender.display_name,
        "handle": message.sender.handle,
        "message": message.message,
        "created_at": message.sort_key,
        **({"edited_at": message.edited_at} if message.edited_at else {}),
    }


def _page_of(lines: Sequence[dict[str, Any]], page: Page[Any]) -> Response:
    """The bootcamp's pages expect a plain list, so the address of the next page is in the header `Link` (RFC 8288)."""
    response = jsonify(lines)
    if page.cursor is not None:
        following = url_for(request.endpoint or "", **request.view_args or {}, before=page.cursor)
        response.headers["Link"] = f'<{following}>; rel="next"'
    return response


def _body() -> dict[str, Any]:
    try:
        body = request.get_json()
        # A lone surrogate is valid JSON, but cannot be stored as text.
        json.dumps(body, ensure_ascii=False).encode()
    except (RecursionError, UnicodeEncodeError):
        abort(HTTPStatus.BAD_REQUEST)
    return body if isinstance(body, dict) else abort(HTTPStatus.BAD_REQUEST)


def _refused(error: errors.RejectedError) -> tuple[Response, HTTPStatus]:
    return jsonify({"errors": [error.code]}), STATUS_OF_CODE.get(error.code, HTTPStatus.UNPROCESSABLE_ENTITY)


def _unavailable(error: Exception) -> tuple[Response, HTTPStatus]:
    # The text of a database's error may hold a part of its address, and so of a password.
    reason = type(error).__name__ if isinstance(error, psycopg.Error) else " ".join(str(error).split())
    current_app.logger.error("the table or the users cannot be reached: %s", reason)
    return jsonify({"errors": ["unavailable"]}), HTTPStatus.SERVICE_UNAVAILABLE


def _failed(error: HTTPException) -> tuple[Response, int]:
    return jsonify({"errors": [error.name.lower().replace(" ", "_")]}), error.code or HTTPStatus.INTERNAL_SERVER_ERROR


def _with_security_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
