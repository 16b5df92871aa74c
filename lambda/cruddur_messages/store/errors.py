"""The errors of the access patterns.

`code` is for programs. Where the Cruddur app has a code for the same error, it is the app's.
"""


class RejectedError(ValueError):
    """The input is rejected and nothing was written; the text says what is wrong and what to do.

    `user_uuid` and `message_group_uuid` are what the text is about, empty if it is about none.
    """

    code = "rejected"

    def __init__(self, text: str, *, user_uuid: str = "", message_group_uuid: str = "") -> None:
        super().__init__(text)
        self.user_uuid = user_uuid
        self.message_group_uuid = message_group_uuid


class MessageBlankError(RejectedError):
    """A message without a visible character."""

    code = "message_blank"

    def __init__(self) -> None:
        super().__init__("the message is blank: write at least one character")


class MessageTooLongError(RejectedError):
    """A message with more characters than the app accepts."""

    code = "message_exceed_max_chars"

    def __init__(self, characters: int, most: int) -> None:
        super().__init__(f"the message has {characters} characters: shorten it to {most}")


class MessageNotUtf8Error(RejectedError):
    """A message with half of a surrogate pair: UTF-8, and so DynamoDB, cannot hold it."""

    code = "message_not_utf8"

    def __init__(self) -> None:
        super().__init__("the message has half of a surrogate pair, which UTF-8 cannot hold: send whole characters")


class InvalidUuidError(RejectedError):
    """A value that should be a UUID and is not."""

    code = "uuid_invalid"

    def __init__(self, name: str, value: object) -> None:
        super().__init__(f"{name} is not a UUID: {str(value)[:80]!r}")


class InvalidLimitError(RejectedError):
    """A page size outside the limits."""

    code = "limit_invalid"

    def __init__(self, value: object, most: int) -> None:
        super().__init__(f"limit is {value!r}: ask for 1 to {most}")


class InvalidCursorError(RejectedError):
    """A cursor that did not come from a page."""

    code = "cursor_invalid"

    def __init__(self, value: str) -> None:
        super().__init__(f"{value[:80]!r} is not a cursor from a page: start again without one")


class TooFewMembersError(RejectedError):
    """A conversation of fewer than two people."""

    code = "members_too_few"

    def __init__(self, members: int) -> None:
        super().__init__(f"a conversation has at least 2 members, not {members}")


class TooManyMembersError(RejectedError):
    """More members than one transaction can start a conversation with."""

    code = "members_too_many"

    def __init__(self, members: int, most: int) -> None:
        super().__init__(f"a conversation starts with at most {most} members, not {members}: add the others later")


class RepeatedMemberError(RejectedError):
    """The same user twice among the members."""

    code = "member_repeated"

    def __init__(self, user_uuid: str) -> None:
        super().__init__(f"user {user_uuid} is named twice among the members", user_uuid=user_uuid)


class SenderNotMemberError(RejectedError):
    """A first message by a sender who is not among the members."""

    code = "sender_not_member"

    def __init__(self, user_uuid: str) -> None:
        super().__init__(f"the sender {user_uuid} is not among the members", user_uuid=user_uuid)


class NotAMemberError(RejectedError):
    """A user who is not a member wants to read or change a conversation."""

    code = "not_a_member"

    def __init__(self, user_uuid: str, message_group_uuid: str) -> None:
        text = f"user {user_uuid} is not a member of conversation {message_group_uuid}"
        super().__init__(text, user_uuid=user_uuid, message_group_uuid=message_group_uuid)


class NoSuchConversationError(RejectedError):
    """A conversation without any group row."""

    code = "conversation_unknown"

    def __init__(self, message_group_uuid: str) -> None:
        super().__init__(f"there is no conversation {message_group_uuid}", message_group_uuid=message_group_uuid)


class PairConversationError(RejectedError):
    """A conversation of two: nobody is added, and nobody leaves."""

    code = "conversation_of_two"

    def __init__(self, message_group_uuid: str) -> None:
        text = f"conversation {message_group_uuid} is of two people and stays theirs: start a new one of three"
        super().__init__(text, message_group_uuid=message_group_uuid)


class NoSuchMessageError(RejectedError):
    """No message with this id at this place: it was never there, is deleted, or has moved."""

    code = "message_unknown"

    def __init__(self, message_uuid: object, message_group_uuid: str) -> None:
        super().__init__(
            f"there is no message {str(message_uuid)[:80]!r} at this place in conversation {message_group_uuid}: "
            "read the conversation again",
            message_group_uuid=message_group_uuid,
        )


class NotTheAuthorError(RejectedError):
    """A user who is not the author wants to edit or delete a message."""

    code = "not_the_author"

    def __init__(self, user_uuid: str, message_uuid: str) -> None:
        super().__init__(f"user {user_uuid} is not the author of message {message_uuid}", user_uuid=user_uuid)


class InvalidTimestampError(RejectedError):
    """A value that should be the time of a message and is not."""

    code = "timestamp_invalid"

    def __init__(self, value: object) -> None:
        super().__init__(f"{str(value)[:80]!r} is not an ISO 8601 timestamp: take the time of a message")


class ContendedError(Exception):
    """Other writers won every attempt, or DynamoDB was too busy.

    An attempt whose response was lost may have written: then a retry of `send` or `start_conversation` writes a second
    message, a retry of any other call nothing more.
    """

    def __init__(self, attempts: int) -> None:
        text = f"the table was too busy with these items for {attempts} attempts; one may have written"
        super().__init__(f"{text}: look before you try again")
