"""The engine in memory responds like DynamoDB Local and the emulator, call by call.

Where those two differ, the engine follows AWS's documentation: see the last test.
"""

import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cruddur_messages import conversation_item, dynamodb, member_item, schema
from cruddur_messages.conversation_item import ConversationItem
from cruddur_messages.dynamodb import MAX_ACTIONS
from tests.engines.fixtures import CruddurTable, on_both_engines
from tests.projection.memory_engine import MemoryEngine, key_of_action

pytestmark = on_both_engines

_numbers = itertools.count(1)

Operation = tuple[str, dict[str, Any]]

PARTITIONS = ("MSG#g0", "GRP#u0", "GRP#u1", "CONV#g0", "MEMBER#u0")
GROUPS = ("g0", "g1")
SORT_KEYS = ("2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:01+00:00", "2026-01-01T00:00:01.000001+00:00")
VALUES = ({"S": "a"}, {"S": "b"}, {"N": "1"}, {"N": "2"}, {"BOOL": True}, {"NULL": True}, {"B": b"a"})
NAMES = ("message", "message_uuid", "note")

EVERY_KEY = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk in PARTITIONS[:3] for sk in SORT_KEYS]

keys = st.sampled_from(EVERY_KEY)
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
    names = {f"#{letter}": draw(st.sampled_from(NAMES)) for letter in "ab" if f"#{letter}" in expression}
    values = {f":{letter}": draw(st.sampled_from(VALUES)) for letter in "ab" if f":{letter}" in expression}
    parts = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return {"ConditionExpression": expression, **{name: part for name, part in parts.items() if part}}


versions = st.sampled_from([{"S": "1"}, {"N": "2"}])
conversation_items = st.builds(
    ConversationItem,
    versions,
    st.dictionaries(st.sampled_from(["u0", "u1"]), st.sampled_from(SORT_KEYS)),
    st.sampled_from([None, "f"]),
)
conversation_updates = st.builds(
    lambda read, then: conversation_item.update("", "g0", read=read, then=then),
    st.none() | versions,
    conversation_items,
)
times = st.fixed_dictionaries(
    {"pk": st.just({"S": "MEMBER#u0"}), "sk": st.just({"S": "g0"})},
    optional=dict.fromkeys(("joined_at", "left_at"), st.just({"S": "then"})),
)
actions = st.one_of(
    st.builds(lambda item, condition: {"Put": {"Item": item, **condition}}, items, conditions()),
    st.builds(lambda key, condition: {"Delete": {"Key": key, **condition}}, keys, conditions()),
    st.builds(lambda update: {"Update": update}, conversation_updates),
    st.builds(
        lambda note, read: note("", read, at="then"),
        st.sampled_from([member_item.joining, member_item.leaving]),
        times,
    ),
)


def query(kind: str, forward: bool = True, limit: int | None = None) -> Operation:
    """A query of a partition, or of a conversation in the index."""
    arguments: dict[str, Any] = {"ScanIndexForward": forward}
    if kind in PARTITIONS:
        arguments |= dynamodb.partition_query(kind)
    else:
        arguments |= {
            "IndexName": schema.INDEX_NAME,
            "KeyConditionExpression": "#group = :group",
            "ExpressionAttributeNames": {"#group": "message_group_uuid"},
            "ExpressionAttributeValues": {":group": {"S": kind}},
        }
    return "query", arguments if limit is None else {**arguments, "Limit": limit}


transactions = st.builds(
    lambda chosen: ("transact_write_items", {"TransactItems": chosen}),
    st.lists(actions, min_size=1, max_size=4, unique_by=key_of_action),
)
puts = st.builds(lambda item, condition: ("put_item", {"Item": item, **condition}), items, conditions())
operations = st.one_of(
    puts,
    puts,
    st.builds(lambda key, condition: ("delete_item", {"Key": key, **condition}), keys, conditions()),
    st.builds(lambda update: ("update_item", update), conversation_updates),
    transactions,
    transactions,
    st.builds(query, st.sampled_from((*PARTITIONS, *GROUPS)), st.booleans(), st.sampled_from((None, None, 1, 2))),
    st.builds(
        lambda chosen: ("batch_get_item", {"Keys": chosen, "ConsistentRead": True}),
        st.lists(keys, min_size=1, max_size=4, unique_by=str),
    ),
)
reads_of_everything: list[Operation] = [
    ("batch_get_item", {"Keys": EVERY_KEY, "ConsistentRead": True}),
    *(query(kind) for kind in (*PARTITIONS, *GROUPS)),
    *(query(kind, forward=False, limit=1) for kind in (*PARTITIONS, *GROUPS)),
]


def perform(client: Any, name: str, operation: Operation, number: int = 0) -> Any:
    """Perform an operation, and return its result as far as it matters to a caller."""
    kind, arguments = operation[0], localised(operation[1], number)
    table = {"TableName": name}
    try:
        match kind:
            case "query":
                return _pages(client, {**arguments, **table})
            case "batch_get_item":
                page = client.batch_get_item(RequestItems={name: arguments})
                return sorted(page["Responses"][name], key=str), page["UnprocessedKeys"]
            case "transact_write_items":
                changes = [
                    {kind: {**body, **table} for kind, body in one.items()} for one in arguments["TransactItems"]
                ]
                client.transact_write_items(TransactItems=changes)
            case _:
                getattr(client, kind)(**{**arguments, **table})
    except ClientError as error:
        reasons = error.response.get("CancellationReasons", [])
        return error.response["Error"]["Code"], [reason.get("Code", "None") for reason in reasons]
    return "done"


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


def localised(value: Any, number: int) -> Any:
    """Operations with partitions and conversations of their own, so that all sequences can share a table."""
    match value:
        case {"S": str(text)} if text in (*PARTITIONS, *GROUPS):
            return {"S": f"{text}-{number}"}
        case dict():
            return {name: localised(member, number) for name, member in value.items()}
        case list():
            return [localised(member, number) for member in value]
    return value


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
        number = next(_numbers)
        memory = MemoryEngine()
        for operation in (*sequence, *reads_of_everything):
            expected = perform(memory, "t", operation, number)
            assert perform(cruddur_table.client, cruddur_table.name, operation, number) == expected

    check()


REFUSED: Any = ("ValidationException", [])
KEY = {"pk": {"S": "GRP#u0"}, "sk": {"S": "1"}}


def put(**attributes: Any) -> Operation:
    return "put_item", {"Item": {**KEY, **attributes}}


def many_puts(count: int) -> Operation:
    puts = [{"Put": {"Item": {**KEY, "sk": {"S": f"{number}"}}}} for number in range(count)]
    return "transact_write_items", {"TransactItems": puts}


@pytest.mark.parametrize(
    ("operation", "expected", "on_dynamodb_local"),
    [
        pytest.param(put(pk={"S": ""}), REFUSED, REFUSED, id="empty key"),
        pytest.param(("put_item", {"Item": {"pk": {"S": "GRP#u0"}}}), REFUSED, REFUSED, id="no key"),
        pytest.param(put(sk={"N": "1"}), REFUSED, REFUSED, id="key of another type"),
        pytest.param(put(message_group_uuid={"N": "1"}), REFUSED, REFUSED, id="index key of another type"),
        pytest.param(put(message={"S": "x" * 409_600}), REFUSED, REFUSED, id="too large"),
        pytest.param(
            ("transact_write_items", {"TransactItems": 2 * [{"Delete": {"Key": KEY}}]}), REFUSED, REFUSED, id="twice"
        ),
        pytest.param(
            ("query", {**query("g0")[1], "ConsistentRead": True}), REFUSED, REFUSED, id="consistent read of the index"
        ),
        pytest.param(many_puts(MAX_ACTIONS + 1), REFUSED, REFUSED, id="101 actions"),
        # The DynamoDB Local from npm accepts ten actions, and no empty text.
        pytest.param(many_puts(MAX_ACTIONS), "done", REFUSED, id="100 actions"),
        pytest.param(many_puts(10), "done", "done", id="10 actions"),
        pytest.param(put(message={"S": ""}), "done", REFUSED, id="empty text"),
    ],
)
def test_limits_are_alike_or_the_difference_is_known(
    cruddur_table: CruddurTable, operation: Operation, expected: Any, on_dynamodb_local: Any
) -> None:
    assert perform(MemoryEngine(), "t", operation) == expected
    there = on_dynamodb_local if cruddur_table.engine == "dynamodb_local" else expected
    assert perform(cruddur_table.client, cruddur_table.name, operation) == there
