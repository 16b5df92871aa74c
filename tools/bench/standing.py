"""The monthly cost of a system apart from its traffic, counted in its template."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cruddur_infra.monitoring import prices
from tools.synthesis import Template, resources

MONITORING = ("none", "essential", "full")
MAPPING_METRICS = 6
"""Polled, filtered out, invoked, failed, dropped, delivered on failure (Lambda Developer Guide, "Event source mapping
metrics")."""


@dataclass(frozen=True)
class Standing:
    """The number of resources in a template for which CloudWatch and KMS charge by the month."""

    alarms: int
    alarm_metrics: int
    log_metrics: int
    mapping_metrics: int
    dashboards: int
    keys: int

    @classmethod
    def of(cls, template: Template) -> "Standing":
        """The counts of the main stack's template."""
        alarms = resources(template, "AWS::CloudWatch::Alarm").values()
        return cls(
            alarms=len(alarms),
            alarm_metrics=sum(len(_metrics_of(alarm["Properties"])) for alarm in alarms),
            log_metrics=len(resources(template, "AWS::Logs::MetricFilter")),
            mapping_metrics=MAPPING_METRICS,
            dashboards=len(resources(template, "AWS::CloudWatch::Dashboard")),
            keys=len(resources(template, "AWS::KMS::Key")),
        )

    @property
    def own_metrics(self) -> int:
        """Custom metrics, which cost while they have data."""
        return self.log_metrics + self.mapping_metrics

    def dollars(self, *, free_tier: bool, is_idle: bool = False) -> float:
        """A month in which every metric has data in every hour; an idle one, in which nobody writes, has no data."""
        free = prices.FREE_TIER if free_tier else prices.NO_FREE_TIER
        with_data = 0 if is_idle else self.own_metrics
        return (
            max(0, self.alarm_metrics - free.alarm_metrics) * prices.ALARM_METRIC_MONTH
            + max(0, self.dashboards - free.dashboards) * prices.DASHBOARD_MONTH
            + max(0, with_data - free.own_metrics) * prices.METRIC_MONTH
            + self.keys * prices.KEY_MONTH
        )


def _metrics_of(alarm: Mapping[str, Any]) -> list[Any]:
    return [query for query in alarm.get("Metrics", [{"MetricStat": {}}]) if "MetricStat" in query]
