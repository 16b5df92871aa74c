"""The page of costs and the dashboard use the present prices, and dev is free while nobody writes."""

from collections.abc import Callable

import pytest

from cruddur_infra import REPOSITORY
from cruddur_infra.monitoring import prices
from cruddur_infra.monitoring.dashboard import cost
from cruddur_infra.stages import load
from tests.operations import metric_math
from tools.bench.standing import Standing
from tools.synthesis import Templates

pytestmark = pytest.mark.check


def test_the_page_uses_the_present_price_list() -> None:
    said = f"the prices of {prices.REGION} as of {prices.AS_OF}"
    assert said in (REPOSITORY / "docs/cost.md").read_text()


def test_the_dashboard_counts_with_the_same_prices() -> None:
    memory_mb = load()["prod"].memory_mb
    expression = cost(memory_mb)
    day: dict[str, float | None] = dict.fromkeys(metric_math.names(expression))
    assert metric_math.value(expression, day) == 0
    day |= {"table_writes": 3e6, "index_writes": 1e6, "index_reads": 2e6, "invocations": 1e6, "milliseconds": 4e6}
    compute = 1e6 * prices.LAMBDA_REQUEST + 4e3 * memory_mb / 1024 * prices.LAMBDA_GB_SECOND
    expected = 4e6 * prices.WRITE_UNIT + 2e6 * prices.READ_UNIT + compute
    assert metric_math.value(expression, day) == pytest.approx(expected)


def test_dev_is_free_while_nobody_writes_and_prod_is_not(templates: Callable[..., Templates]) -> None:
    dev, prod = (Standing.of(templates(stage)["main"]) for stage in ("dev", "prod"))
    assert dev.dollars(free_tier=True, is_idle=True) == dev.dollars(free_tier=True) == 0
    assert 0 < dev.dollars(free_tier=False, is_idle=True) <= 1
    assert prod.dollars(free_tier=True, is_idle=True) == pytest.approx(
        (prod.alarm_metrics - 10) * prices.ALARM_METRIC_MONTH + prices.KEY_MONTH
    )
    without = prod.alarm_metrics * prices.ALARM_METRIC_MONTH + prices.KEY_MONTH + prices.DASHBOARD_MONTH
    assert prod.dollars(free_tier=False, is_idle=True) == pytest.approx(without)
    assert prod.dollars(free_tier=False) == pytest.approx(without + prod.own_metrics * prices.METRIC_MONTH)
