"""The names of the table, stated once: the stacks, the Lambda functions and the scripts all read them here."""

from typing import Final

TABLE_NAME: Final = "cruddur-messages"

PARTITION_KEY: Final = "pk"
SORT_KEY: Final = "sk"

INDEX_NAME: Final = "message-group-sk-index"
INDEX_PARTITION_KEY: Final = "message_group_uuid"

STREAM_VIEW_TYPE: Final = "NEW_IMAGE"

MESSAGE_PREFIX: Final = "MSG#"
GROUP_ROW_PREFIX: Final = "GRP#"
PAIR_PREFIX: Final = "PAIR#"
"""The prefix of pair items, which keep two people to one conversation (docs/decisions/0010)."""

PAIR_SORT_KEY: Final = "PAIR"

PAIR_CONVERSATION: Final = "latest_message_group_uuid"
"""The attribute of a pair item for the conversation that the two people started last."""

MEMBER_PREFIX: Final = "MEMBER#"
"""The prefix of member items: what a person did with a conversation, whose id is the sort key."""

JOINED_AT: Final = "joined_at"
LEFT_AT: Final = "left_at"
READ_UP_TO: Final = "read_up_to"
"""The attributes of a member item, each only once it has happened (docs/decisions/0012)."""

IS_GROUP: Final = "is_group"
"""The attribute of the group rows of a conversation of three or more: it stays when members leave."""

EDITED_AT: Final = "edited_at"

EXPIRES_AT: Final = "expires_at"
"""The attribute by which DynamoDB removes messages, of messages alone: seconds since 1970 (docs/person.md)."""

ERASED: Final = "erased"
"""What a row has for uuid, name and handle of the other person, if they are erased and nobody else is left."""

UNKNOWN: Final = "unknown"
"""What a row has for name and handle of a person whose name is unknown."""

CONVERSATION_PREFIX: Final = "CONV#"
"""The prefix of conversation items, on which the projection locks (docs/decisions/0004)."""

CONVERSATION_SORT_KEY: Final = "CONV"

SMOKE_UUID_PREFIX: Final = "5e1f7e57-"
"""The prefix of the ids of made-up people and their conversations, so that a policy can tell them from real ones."""

SMOKE_PARTITION: Final = "SMOKE#runs"
"""The partition of the items by which `bin/ddb smoke` finds and removes a killed run (docs/ddb.md)."""

TABLE_NAME_VARIABLE: Final = "TABLE_NAME"
"""The environment variable by which a Lambda function finds its table."""


def message_partition(message_group_uuid: str) -> str:
    """The partition key value of a conversation's messages."""
    return MESSAGE_PREFIX + message_group_uuid


def group_row_partition(user_uuid: str) -> str:
    """The partition key value of a person's group rows."""
    return GROUP_ROW_PREFIX + user_uuid


def pair_partition(user_uuid: str, other_uuid: str) -> str:
    """The partition key value of two people's pair item, in either order of the two."""
    return PAIR_PREFIX + "#".join(sorted((user_uuid, other_uuid)))


def member_partition(user_uuid: str) -> str:
    """The partition key value of a person's member items; the sort key is the conversation's id."""
    return MEMBER_PREFIX + user_uuid


def conversation_partition(message_group_uuid: str) -> str:
    """The partition key value of a conversation's item."""
    return CONVERSATION_PREFIX + message_group_uuid
