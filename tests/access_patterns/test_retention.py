"""Messages that expire: only they carry the TTL attribute, whatever happens to them and to their rows."""

from datetime import timedelta

import pytest

from cruddur_cli import settlement
from cruddur_cli.maintenance.verify import verify
from cruddur_messages import schema
from cruddur_messages.items import MESSAGE, key_attributes
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import ANN, BO, CY, items_of, rows_of, ticking
from tests.engines.fixtures import CruddurTable, on_both_engines


@on_both_engines
def test_messages_alone_expire(cruddur_table: CruddurTable) -> None:
    store = MessageStore(client=cruddur_table.client, table_name=cruddur_table.name, clock=ticking(), keep_days=30)
    first = store.start_conversation([ANN, BO, CY], sender=ANN, message="one").message
    group = first.message_group_uuid
    last = store.send(group, sender=BO, message="two")
    store.edit(group, last.sort_key, message_uuid=last.message_uuid, editor=BO.uuid, message="two!")
    store.mark_read(group, ANN.uuid, up_to=last.sort_key)
    assert settlement.settle(cruddur_table.client, cruddur_table.name, [group]) == {}
    expires = {
        item["sk"]["S"]: item[schema.EXPIRES_AT] for item in items_of(cruddur_table) if schema.EXPIRES_AT in item
    }
    assert expires == {
        message.sort_key: {"N": str(int((message.instant + timedelta(days=30)).timestamp()))}
        for message in (first, last)
    }
    # What DynamoDB does with an expired message, and the projection with the record.
    key = key_attributes((schema.message_partition(group), last.sort_key))
    cruddur_table.client.delete_item(TableName=cruddur_table.name, Key=key)
    assert settlement.settle(cruddur_table.client, cruddur_table.name, [group]) == {}
    assert [row.attributes[MESSAGE] for row in rows_of(cruddur_table, CY)] == [{"S": "one"}]
    assert verify(cruddur_table.client, cruddur_table.name, sleep=lambda _: None).findings == []


@pytest.mark.parametrize("keep_days", [None, 0])
def test_messages_are_kept_for_ever_unless_told_otherwise(cruddur_table: CruddurTable, keep_days: int | None) -> None:
    store = MessageStore(client=cruddur_table.client, table_name=cruddur_table.name, keep_days=keep_days)
    group = store.start_conversation([ANN, BO], sender=ANN, message="one").message_group_uuid
    store.send(group, sender=BO, message="two")
    assert not any(schema.EXPIRES_AT in item for item in items_of(cruddur_table))


def test_a_negative_number_of_days_is_refused(cruddur_table: CruddurTable) -> None:
    with pytest.raises(ValueError, match="keep_days is -1"):
        MessageStore(client=cruddur_table.client, table_name=cruddur_table.name, keep_days=-1)


@on_both_engines
def test_a_new_table_has_the_attribute(cruddur_table: CruddurTable) -> None:
    found = cruddur_table.client.describe_time_to_live(TableName=cruddur_table.name)["TimeToLiveDescription"]
    assert (found["TimeToLiveStatus"], found["AttributeName"]) == ("ENABLED", "expires_at")
