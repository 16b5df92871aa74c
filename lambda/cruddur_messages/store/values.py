"""What the store returns."""

from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from cruddur_messages.items import MESSAGE, AttributeMap, GroupRow, Message, User, text_or_empty

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Page(Generic[_Item]):
    """A part of a list; `cursor` asks for the next part, and is None on the last."""

    items: tuple[_Item, ...]
    cursor: str | None


@dataclass(frozen=True)
class Conversation:
    """A line of a person's inbox: the newest message, and the other person (in a group: the first other member).

    `is_group` is True if it was ever one of three or more, and known to be.
    """

    message_group_uuid: str
    last_message_at: str
    message: str
    other: User
    is_group: bool = False

    @classmethod
    def from_attributes(cls, attributes: AttributeMap) -> Self:
        """Read a group row. Raises MalformedItemError if it is malformed."""
        row = GroupRow.from_attributes(attributes)
        return cls(
            message_group_uuid=row.message_group_uuid,
            last_message_at=row.sort_key,
            message=text_or_empty(attributes, MESSAGE),
            other=User.from_attributes(attributes),
            is_group=row.is_group,
        )


@dataclass(frozen=True)
class StartedConversation:
    """The conversation of a first message; `is_new` is False if the two already had one."""

    message_group_uuid: str
    message: Message
    is_new: bool
