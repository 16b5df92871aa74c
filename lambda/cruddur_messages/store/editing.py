"""What authors do with their messages: edit and delete. The projection follows both.

A message is named by its sort key and its id, and both are conditions: a rekey may have moved one of two messages of
one instant, and another may be at its place.
"""

from typing import TYPE_CHECKING, Any, TypedDict

from botocore.exceptions import ClientError

from cruddur_messages import schema, timestamps
from cruddur_messages.dynamodb import CONDITION_FAILED, reasons
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, USER_UUID, Message, key_attributes, text_or_empty
from cruddur_messages.store import errors
from cruddur_messages.store.access import Access

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

IS_THE_AUTHORS = f"{MESSAGE_UUID} = :uuid AND {USER_UUID} = :author"


class _Of(TypedDict):
    TableName: str
    Key: "dict[str, AttributeValueTypeDef]"


def edit(
    access: Access, message_group_uuid: str, sort_key: str, *, message_uuid: str, editor: str, message: str
) -> Message:
    """Replace the text of a message."""
    written = {":text": {"S": message}, ":now": {"S": timestamps.canonical(access.clock())}}
    for _ in (attempts := access.attempts()):
        try:
            answer = access.client.update_item(
                **_of(access, message_group_uuid, sort_key),
                UpdateExpression=f"SET {MESSAGE} = :text, {schema.EDITED_AT} = :now",
                ConditionExpression=IS_THE_AUTHORS,
                ExpressionAttributeValues={**_author(message_uuid, editor), **written},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if reasons(error) == [CONDITION_FAILED]:
                raise _why_not(access, message_group_uuid, sort_key, message_uuid, editor) from error
            attempts.failed(error)
        else:
            return Message.from_attributes(answer["Attributes"])
    raise AssertionError("attempts end with an error")


def delete(access: Access, message_group_uuid: str, sort_key: str, *, message_uuid: str, by: str) -> None:
    """Delete a message. It is a success if an attempt whose response was lost has deleted it."""
    for attempt in (attempts := access.attempts()):
        try:
            access.client.delete_item(
                **_of(access, message_group_uuid, sort_key),
                ConditionExpression=IS_THE_AUTHORS,
                ExpressionAttributeValues=_author(message_uuid, by),
            )
        except ClientError as error:
            if reasons(error) == [CONDITION_FAILED]:
                why = _why_not(access, message_group_uuid, sort_key, message_uuid, by)
                # botocore retries too.
                is_retry = attempt or error.response.get("ResponseMetadata", {}).get("RetryAttempts")
                if is_retry and isinstance(why, errors.NoSuchMessageError):
                    return
                raise why from error
            attempts.failed(error)
        else:
            return


def _of(access: Access, message_group_uuid: str, sort_key: str) -> _Of:
    key = key_attributes((schema.message_partition(message_group_uuid), sort_key))
    return {"TableName": access.table_name, "Key": key}


def _author(message_uuid: str, author: str) -> dict[str, Any]:
    return {":uuid": {"S": message_uuid}, ":author": {"S": author}}


def _why_not(
    access: Access, message_group_uuid: str, sort_key: str, message_uuid: str, author: str
) -> errors.RejectedError:
    """Why a message was not written: as a consistent read shows it now."""
    item = access.client.get_item(**_of(access, message_group_uuid, sort_key), ConsistentRead=True).get("Item", {})
    if text_or_empty(item, MESSAGE_UUID) != message_uuid:
        return errors.NoSuchMessageError(message_uuid, message_group_uuid)
    return errors.NotTheAuthorError(author, message_uuid)
