"""Messages that expire: only they carry the TTL attribute, whatever happens to them and to their rows."""

from datetime import date, datetime, timedelta
from typing import Any

import boto3
import pytest

from cruddur_cli import settlement
from cruddur_cli.maintenance.verify import verify
from cruddur_cli.smoke import runs
from cruddur_cli.smoke.talk import Place
from cruddur_messages import schema
from cruddur_messages.canary import run as canary
from cruddur_messages.items import MESSAGE, key_attributes
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.load import SeedLoader
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import ANN, BO, CY, items_of, rows_of, ticking
from tests.engines import tables
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
def test_without_a_number_and_of_what_the_project_writes_itself_nothing_expires(
    cruddur_table: CruddurTable, keep_days: int | None
) -> None:
    """The project's own: the seed, the canary and the smoke test, which removes what it has written."""
    client, name = tables.dynamodb(cruddur_table.endpoint), cruddur_table.name
    written: list[str] = []
    client.meta.events.register("before-call.dynamodb", lambda params, **_: written.append(str(params["body"])))

    def settle(group: str) -> None:
        assert settlement.settle(client, name, [group]) == {}

    store = MessageStore(client=client, table_name=name, keep_days=keep_days)
    group = store.start_conversation([ANN, BO], sender=ANN, message="one").message_group_uuid
    store.send(group, sender=BO, message="two")
    SeedLoader(client=client, table_name=name).load(seed_file.load()[-1:])
    canary.run(
        client=client,
        table_name=name,
        clock=ticking(),
        sleep=lambda _: settle(canary.MESSAGE_GROUP_UUID),
        seconds_left=lambda: 1.0,
        emit=lambda *_, **__: None,
    )
    runs.talk(Place(client, name, settle), messages=2, limit_seconds=60)
    for kind in ("two", canary.TEXT, "message 2"):
        assert any(kind in body for body in written)
    assert not any(schema.EXPIRES_AT in body for body in written)


@pytest.mark.parametrize(
    ("option", "value"),
    [("keep_days", -1), ("keep_days", 36_501), ("unread_since", date(2026, 12, 1)), ("unread_since", datetime.min)],
)
def test_an_option_with_which_calls_would_fail_is_refused(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{option} is {value}: give .*$"):
        MessageStore(client=boto3.client("dynamodb"), table_name="", **{option: value})
