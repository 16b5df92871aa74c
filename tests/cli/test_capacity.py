"""Consumed capacity is counted, and a limit holds over any sequence of calls."""

from hypothesis import given
from hypothesis import strategies as st

from cruddur_cli.capacity import CapacityMeter
from tests.engines.fixtures import CruddurTable


@given(
    rate=st.none() | st.floats(1, 1000),
    calls=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 5)), max_size=30),
)
def test_no_more_units_than_allowed(rate: float | None, calls: list[tuple[float, float]]) -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        assert rate is not None
        now += seconds

    meter = CapacityMeter(rate, clock=lambda: now, sleep=sleep)
    begun: list[tuple[float, float]] = []
    for units, pause in calls:
        meter._wait()
        begun.append((now, units))
        meter.consume("Scan", {"CapacityUnits": units})
        now += pause
    for first in range(len(begun)):
        for last in range(first + 1, len(begun)):
            consumed = sum(units for _, units in begun[first:last])
            assert rate is None or consumed <= rate * (begun[last][0] - begun[first][0]) * (1 + 1e-9) + 1e-6


def test_reads_and_writes_are_counted_apart(cruddur_table: CruddurTable) -> None:
    meter = CapacityMeter()
    client, name = cruddur_table.client, cruddur_table.name
    meter.attach(client)
    item = {"pk": {"S": "a"}, "sk": {"S": "b"}}
    client.put_item(TableName=name, Item=item)
    client.transact_write_items(TransactItems=[{"Put": {"TableName": name, "Item": {**item, "sk": {"S": "c"}}}}])
    client.scan(TableName=name)
    client.describe_table(TableName=name)
    assert meter.calls == {"PutItem": 1, "TransactWriteItems": 1, "Scan": 1, "DescribeTable": 1}
    assert meter.write_units >= 2
    assert meter.read_units > 0
    assert "1 PutItem" in str(meter)
