"""The engine in memory responds like DynamoDB Local and the emulator, call by call.

Where those two differ, the engine follows AWS's documentation: see the last tests.
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cruddur_messages import schema
from cruddur_messages.conversation_item import ConversationItem, update
from cruddur_messages.dynamodb import MAX_ACTIONS
from cruddur_messages.items import GroupRow, Message
from cruddur_messages.projection.moves import plan
from tests.engines.fixtures import CruddurTable, on_both_engines
from tests.projection.memory_engine import MemoryEngine

pytestmark = on_both_engines

MAX_ACTIONS_OF_DYNAMODB_LOCAL = 10
"""The limit on the actions of a transaction of the DynamoDB Local from npm."""
_numbers = itertools.count(1)

Operation = tuple[str, dict[str, Any]]

PARTITIONS = ("MSG#g0", "GRP#u0", "GRP#u1")
SORT_KEYS = ("2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:01+00:00", "2026-01-01T00:00:01.000001+00:00")
VALUES = ({"S": "a"}, {"S": "b"}, {"N": "1"}, {"N": "2"}, {"BOOL": True}, {"NULL": True}, {"B": b"a"})
NAMES = ("message", "message_uuid", "note")

keys = st.builds(
    lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk}}, st.sampled_from(PARTITIONS), st.sampled_from(SORT_KEYS)
)
attributes = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=3)
groups = st.sampled_from([{}, {"message_group_uuid": {"S": "g0"}}, {"message_group_uuid": {"S": "g1"}}])
items = st.builds(lambda key, others, group: {**key, **others, **group}, keys, attributes, groups)

EXPRESSIONS = (
    "attribute_exists(#a)",
    "attribute_not_exists(#a)",
    "attribute_not_exists(pk)",
    "attribute_exists(pk)",
    "#a = :a",
    "#a = :a AND #b = :b",
    "#a = :a OR #b = :b",
    "attribute_not_exists(pk) OR #a = :a",
)


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    """A condition, or none, with exactly the names and values that it uses, as DynamoDB requires."""
    if draw(st.booleans()):
        return {}
    expression = draw(st.sampled_from(EXPRESSIONS))
    names = {"#a": draw(st.sampled_from(NAMES)), "#b": draw(st.sampled_from(NAMES))}
    values = {":a": draw(st.sampled_from(VALUES)), ":b": draw(st.sampled_from(VALUES))}
    condition: dict[str, Any] = {"ConditionExpression": expression}
    if used := {name: value for name, value in names.items() if name in expression}:
        condition["ExpressionAttributeNames"] = used
    if used_values := {name: value for name, value in values.items() if name in expression}:
        condition["ExpressionAttributeValues"] = used_values
    return condition


puts = st.builds(lambda item, condition: ("put_item", {"Item": item, **condition}), items, conditions())
deletes = st.builds(lambda key, condition: ("delete_item", {"Key": key, **condition}), keys, conditions())
updates = st.builds(
    lambda key, name, value: (
        "update_item",
        {
            "Key": key,
            "UpdateExpression": "SET #n = :v REMOVE #r",
            "ExpressionAttributeNames": {"#n": name, "#r": "gone"},
            "ExpressionAttributeValues": {":v": value},
        },
    ),
    keys,
    st.sampled_from(NAMES),
    st.sampled_from(VALUES),
)


def _key_of_action(action: dict[str, Any]) -> tuple[str, str]:
    (body,) = action.values()
    key = body.get("Item", body.get("Key"))
    return key["pk"]["S"], key["sk"]["S"]


def _both(change: dict[str, Any], condition: dict[str, Any]) -> dict[str, Any]:
    """A condition, with the names and values of the change and of the condition."""
    parts = ("ExpressionAttributeNames", "ExpressionAttributeValues")
    return condition | {part: change[part] | condition.get(part, {}) for part in parts}


actions = st.one_of(
    st.builds(lambda item, condition: {"Put": {"Item": item, **condition}}, items, conditions()),
    st.builds(lambda key, condition: {"Delete": {"Key": key, **condition}}, keys, conditions()),
    st.builds(
        lambda made, condition: {"Update": {**made[1], **_both(made[1], condition)}},
        updates,
        conditions(),
    ),
)
transactions = st.builds(
    lambda chosen: ("transact_write_items", {"TransactItems": chosen}),
    st.lists(actions, min_size=1, max_size=4, unique_by=lambda action: _key_of_action(action)),
)


def _query(kind: str, forward: bool, limit: int | None) -> Operation:
    arguments: dict[str, Any] = {"ScanIndexForward": forward}
    if kind in PARTITIONS:
        arguments |= {
            "KeyConditionExpression": "#pk = :pk",
            "ExpressionAttributeNames": {"#pk": "pk"},
            "ExpressionAttributeValues": {":pk": {"S": kind}},
            "ConsistentRead": True,
        }
    else:
        arguments |= {
            "IndexName": schema.INDEX_NAME,
            "KeyConditionExpression": "#group = :group",
            "ExpressionAttributeNames": {"#group": "message_group_uuid"},
            "ExpressionAttributeValues": {":group": {"S": kind}},
        }
    return "query", arguments if limit is None else {**arguments, "Limit": limit}


queries = st.builds(
    _query, st.sampled_from((*PARTITIONS, "g0", "g1")), st.booleans(), st.sampled_from((None, None, 1, 2))
)
operations = st.one_of(puts, puts, deletes, updates, transactions, transactions, queries)


def perform(client: Any, table: dict[str, str], operation: Operation, localised: Callable[[Any], Any]) -> Any:
    """Perform an operation, and return its result as far as it matters to a caller."""
    name, arguments = operation
    arguments = localised(arguments)
    if name == "transact_write_items":
        arguments["TransactItems"] = [
            {kind: {**table, **body} for kind, body in action.items()} for action in arguments["TransactItems"]
        ]
    try:
        if name != "query":
            getattr(client, name)(**({} if name == "transact_write_items" else table), **arguments)
            return "done"
        return _pages(client, {**table, **arguments})
    except ClientError as error:
        reasons = error.response.get("CancellationReasons", [])
        return error.response["Error"]["Code"], [reason.get("Code", "None") for reason in reasons]


def _pages(client: Any, arguments: dict[str, Any]) -> list[Any]:
    """All pages of a query, one after the other; index rows of equal sort key come in any order."""
    found: list[Any] = []
    while True:
        page = client.query(**arguments)
        assert len(page["Items"]) <= arguments.get("Limit", len(page["Items"]))
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    in_order = [item["sk"]["S"] for item in found]
    assert in_order == sorted(in_order, reverse=not arguments.get("ScanIndexForward", True))
    return sorted(found, key=lambda item: (item["sk"]["S"], item["pk"]["S"]))


def localised_to(number: int) -> Callable[[Any], Any]:
    """Give each sequence of operations partitions of its own, so that all can share a table."""

    def change(value: Any) -> Any:
        match value:
            case {"S": str(text)} if text in (*PARTITIONS, "g0", "g1"):
                return {"S": f"{text}-{number}"}
            case dict():
                return {name: change(member) for name, member in value.items()}
            case list():
                return [change(member) for member in value]
        return value

    return change


@pytest.mark.parametrize("sequences", [10, pytest.param(100, marks=pytest.mark.proof)])
def test_generated_operations_end_alike(cruddur_table: CruddurTable, sequences: int) -> None:
    @settings(
        max_examples=sequences,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(sequence=st.lists(operations, min_size=4, max_size=14))
    def check(sequence: list[Operation]) -> None:
        localised = localised_to(next(_numbers))
        memory = MemoryEngine()
        reads = [_query(partition, forward=True, limit=None) for partition in (*PARTITIONS, "g0", "g1")]
        for operation in (*sequence, *reads):
            expected = perform(memory, {}, operation, localised)
            assert perform(cruddur_table.client, {"TableName": cruddur_table.name}, operation, localised) == expected

    check()


@pytest.mark.parametrize(
    "operation",
    [
        ("put_item", {"Item": {"pk": {"S": ""}, "sk": {"S": "1"}}}),
        ("put_item", {"Item": {"pk": {"S": "GRP#u0"}}}),
        ("put_item", {"Item": {"pk": {"S": "GRP#u0"}, "sk": {"N": "1"}}}),
        ("put_item", {"Item": {"pk": {"S": "GRP#u0"}, "sk": {"S": "1"}, "message_group_uuid": {"N": "1"}}}),
        ("put_item", {"Item": {"pk": {"S": "GRP#u0"}, "sk": {"S": "1"}, "message": {"S": "x" * 409_600}}}),
        (
            "transact_write_items",
            {"TransactItems": 2 * [{"Delete": {"Key": {"pk": {"S": "GRP#u0"}, "sk": {"S": "1"}}}}]},
        ),
        (
            "query",
            {
                "IndexName": schema.INDEX_NAME,
                "ConsistentRead": True,
                "KeyConditionExpression": "#g = :g",
                "ExpressionAttributeNames": {"#g": "message_group_uuid"},
                "ExpressionAttributeValues": {":g": {"S": "g0"}},
            },
        ),
    ],
    ids=["empty key", "no key", "key of another type", "index key of another type", "too large", "twice", "consistent"],
)
def test_what_is_invalid_is_refused_alike(cruddur_table: CruddurTable, operation: Operation) -> None:
    localised = localised_to(next(_numbers))
    expected = perform(MemoryEngine(), {}, operation, localised)
    assert expected == ("ValidationException", [])
    assert perform(cruddur_table.client, {"TableName": cruddur_table.name}, operation, localised) == expected


def test_an_engine_takes_100_actions_or_10(cruddur_table: CruddurTable) -> None:
    """DynamoDB and the emulator accept 100; the DynamoDB Local from npm accepts 10."""
    limit = MAX_ACTIONS_OF_DYNAMODB_LOCAL if cruddur_table.engine == "dynamodb_local" else MAX_ACTIONS
    table = {"TableName": cruddur_table.name}
    for client, names, most in ((MemoryEngine(), {}, MAX_ACTIONS), (cruddur_table.client, table, limit)):
        assert perform(client, names, _many_puts(most), localised_to(0)) == "done"
        assert perform(client, names, _many_puts(most + 1), localised_to(0)) == ("ValidationException", [])


def _many_puts(count: int) -> Operation:
    puts = [{"Put": {"Item": {"pk": {"S": "GRP#many"}, "sk": {"S": f"{count}-{n}"}}}} for n in range(count)]
    return "transact_write_items", {"TransactItems": puts}


def test_an_engine_takes_an_empty_text_or_not(cruddur_table: CruddurTable) -> None:
    """DynamoDB and the emulator accept it; the DynamoDB Local from npm does not."""
    operation: Operation = "put_item", {"Item": {"pk": {"S": "GRP#u0"}, "sk": {"S": "1"}, "message": {"S": ""}}}
    expected: Any = ("ValidationException", []) if cruddur_table.engine == "dynamodb_local" else "done"
    assert perform(MemoryEngine(), {}, operation, localised_to(0)) == "done"
    assert perform(cruddur_table.client, {"TableName": cruddur_table.name}, operation, localised_to(0)) == expected


def test_the_transactions_of_the_projection_end_alike(cruddur_table: CruddurTable) -> None:
    """A move, and one that fails, with the reason for each action; then the version alone, and one that fails."""
    number = next(_numbers)
    row: Any = {"pk": {"S": f"GRP#u{number}"}, "sk": {"S": SORT_KEYS[0]}}
    row |= {"message_group_uuid": {"S": f"g{number}"}, "user_uuid": {"S": "u9"}}
    sent: Any = {
        "pk": {"S": f"MSG#g{number}"},
        "sk": {"S": SORT_KEYS[2]},
        "message": {"S": "hi"},
        "message_uuid": {"S": "m"},
    }
    (move,) = plan([GroupRow.from_attributes(row)], Message.from_attributes(sent), is_shown=False)
    rows = {"u": SORT_KEYS[2]}
    for client, name in ((MemoryEngine(), ""), (cruddur_table.client, cruddur_table.name)):
        engine: Any = client
        engine.put_item(TableName=name, Item=row)
        write = partial(update, name, f"g{number}")
        first = write(read=None, then=ConversationItem({"S": "1"}, rows, "f"))
        next_version: Any = write(read={"S": "1"}, then=ConversationItem({"S": "2"}, rows, "f"))
        unfinished: Any = write(read={"S": "2"}, then=ConversationItem({"S": "3"}, {}, None))
        moving: Operation = "transact_write_items", {"TransactItems": [{"Update": first}, *move.actions(name)]}
        ended = [
            perform(engine, {}, operation, lambda unchanged: unchanged)
            for operation in (
                moving,
                moving,
                ("update_item", next_version),
                ("update_item", next_version),
                ("update_item", unfinished),
            )
        ]
        failed = "ConditionalCheckFailed"
        assert ended == [
            "done",
            ("TransactionCanceledException", [failed, failed, failed]),
            "done",
            (f"{failed}Exception", []),
            "done",
        ]
        key = {"pk": {"S": f"CONV#g{number}"}, "sk": {"S": "CONV"}}
        item = engine.get_item(TableName=name, Key=key, ConsistentRead=True)["Item"]
        assert item == {**key, "version": {"S": "3"}, "rows": {"M": {}}}


def test_rows_are_read_by_their_keys_alike(cruddur_table: CruddurTable) -> None:
    keys = [{"pk": {"S": f"GRP#{next(_numbers)}"}, "sk": {"S": "1"}} for _ in range(3)]
    for client, name in ((MemoryEngine(), "t"), (cruddur_table.client, cruddur_table.name)):
        engine: Any = client
        for key in keys[:2]:
            engine.put_item(TableName=name, Item=key)
        page = engine.batch_get_item(RequestItems={name: {"Keys": keys, "ConsistentRead": True}})
        assert sorted(page["Responses"][name], key=str) == sorted(keys[:2], key=str)
        assert not page["UnprocessedKeys"]
