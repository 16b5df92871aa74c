"""What authors do with their messages: edit and delete. The projection follows both."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cruddur_messages import schema, timestamps
from cruddur_messages.items import MESSAGE, MESSAGE_UUID, USER_UUID, Message, key_attributes, text_or_empty
from cruddur_messages.store import errors
from cruddur_messages.store.access import Access, ConditionFailedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

IS_THE_AUTHORS = f"{MESSAGE_UUID} = :uuid AND {USER_UUID} = :author"


@dataclass(frozen=True)
class OwnMessage:
    """A message that its author changes.

    It is named by its sort key and its id, and both are conditions: a rekey may have moved one of two messages of one
    instant, and another may be at its place.
    """

    access: Access
    message_group_uuid: str
    sort_key: str
    message_uuid: str
    author: str

    def edit(self, message: str) -> Message:
        """Replace the text."""
        now = timestamps.canonical(self.access.clock())
        try:
            answer = self.access.write(
                self.access.client.update_item,
                TableName=self.access.table_name,
                Key=self._key,
                UpdateExpression=f"SET {MESSAGE} = :text, {schema.EDITED_AT} = :now",
                ConditionExpression=IS_THE_AUTHORS,
                ExpressionAttributeValues={**self._named, ":text": {"S": message}, ":now": {"S": now}},
                ReturnValues="ALL_NEW",
            )
        except ConditionFailedError as error:
            raise self._why_not() from error
        return Message.from_attributes(answer["Attributes"])

    def delete(self) -> None:
        """Delete it. It is a success if an attempt whose response was lost has deleted it."""
        try:
            self.access.write(
                self.access.client.delete_item,
                TableName=self.access.table_name,
                Key=self._key,
                ConditionExpression=IS_THE_AUTHORS,
                ExpressionAttributeValues=self._named,
            )
        except ConditionFailedError as error:
            why = self._why_not()
            if not (error.is_retry and isinstance(why, errors.NoSuchMessageError)):
                raise why from error

    @property
    def _key(self) -> "dict[str, AttributeValueTypeDef]":
        return key_attributes((schema.message_partition(self.message_group_uuid), self.sort_key))

    @property
    def _named(self) -> "dict[str, AttributeValueTypeDef]":
        return {":uuid": {"S": self.message_uuid}, ":author": {"S": self.author}}

    def _why_not(self) -> errors.RejectedError:
        """Why the message was not written: as a consistent read shows it now."""
        found = self.access.client.get_item(TableName=self.access.table_name, Key=self._key, ConsistentRead=True)
        if text_or_empty(found.get("Item", {}), MESSAGE_UUID) != self.message_uuid:
            return errors.NoSuchMessageError(self.message_uuid, self.message_group_uuid)
        return errors.NotTheAuthorError(self.author, self.message_uuid)
