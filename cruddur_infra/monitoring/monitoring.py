"""The monitoring of the projection: metric filters on its log, alarms, saved queries, and the dashboard."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from cruddur_infra.monitoring.alarm_topic import AlarmTopic
from cruddur_infra.monitoring.alarms import Alarm, Thresholds, alarms
from cruddur_infra.monitoring.dashboard import Dashboard
from cruddur_infra.monitoring.log import CANARY_SECONDS, LOGGED_LAG, QUERIES, canary_patterns, log_patterns
from cruddur_infra.monitoring.metrics import Metric, Watched


class Monitoring(Construct):
    """Alarms, and the queries and dashboard to look into them.

    Without `full`: the essential alarms and their metrics only, no key, no dashboard. CloudWatch's free tier covers
    that. These are plain CloudFormation resources: CDK's constructs for them would double the time of synthesis.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        watched: Watched,
        thresholds: Thresholds,
        full: bool,
        memory_mb: int,
        email: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        found = alarms(watched, thresholds, full=full)
        under_alarm = {metric.name for alarm in found for metric in alarm.metrics.values()}
        for log_group_name, patterns in (
            (watched.log_group_name, log_patterns()),
            (watched.canary_log_group_name, canary_patterns()),
        ):
            if log_group_name is not None:
                wanted = {name: pattern for name, pattern in patterns.items() if full or name in under_alarm}
                self._filter_log(log_group_name, wanted, namespace=watched.system)
        self.topic_arn = AlarmTopic(self, "Alarms", system=watched.system, encrypted=full, email=email).topic.ref
        for alarm in found:
            add_alarm(self, alarm, system=watched.function_name, topic_arn=self.topic_arn)
        self.dashboard_name: str | None = None
        if full:
            alarm_names = [alarm.name for alarm in found]
            self.dashboard_name = Dashboard(
                self, "Overview", watched=watched, alarm_names=alarm_names, memory_mb=memory_mb
            ).dashboard_name
        for title, query in QUERIES.items():
            logs.CfnQueryDefinition(
                self,
                f"Query{_title(title, ' ')}",
                name=f"{watched.function_name}/{title}",
                query_string=query,
                log_group_names=[watched.log_group_name],
            )

    def _filter_log(self, log_group_name: str, patterns: Mapping[str, str], *, namespace: str) -> None:
        for name, pattern in patterns.items():
            transformation: dict[str, Any] = {
                "metricNamespace": namespace,
                "metricName": name,
                "metricValue": f"$.{name}",
                "unit": "Seconds" if name in (LOGGED_LAG, CANARY_SECONDS) else "Count",
            }
            logs.CfnMetricFilter(
                self,
                f"Log{_title(name, '_')}",
                filter_pattern=pattern,
                log_group_name=log_group_name,
                metric_transformations=[transformation],
            )


def add_alarm(scope: Construct, alarm: Alarm, *, system: str, topic_arn: str) -> None:
    """Add an alarm that notifies a topic; its name begins with that of the system."""
    cloudwatch.CfnAlarm(
        scope,
        _title(alarm.name, "-"),
        alarm_name=f"{system}-{alarm.name}",
        alarm_description=alarm.description,
        comparison_operator="GreaterThanThreshold" if alarm.below is None else "LessThanThreshold",
        threshold=alarm.above if alarm.below is None else alarm.below,
        evaluation_periods=alarm.periods,
        datapoints_to_alarm=alarm.breaching,
        treat_missing_data=alarm.missing,
        warm_up_configuration=None
        if alarm.warm_up_minutes is None
        else cloudwatch.CfnAlarm.WarmUpConfigurationProperty(warm_up_period_duration_in_minutes=alarm.warm_up_minutes),
        alarm_actions=[topic_arn],
        ok_actions=[topic_arn],
        **_measured(alarm),
    )


def _title(words: str, separator: str) -> str:
    return "".join(word.capitalize() for word in words.split(separator))


def _measured(alarm: Alarm) -> dict[str, Any]:
    """The metric of an alarm as CloudFormation takes it: one metric, or several and an expression."""
    if alarm.expression is None:
        ((_, metric),) = alarm.metrics.items()
        return {
            "namespace": metric.namespace,
            "metric_name": metric.name,
            "dimensions": _dimensions(metric),
            "statistic": metric.statistic,
            "period": alarm.period_seconds,
        }
    queries: list[dict[str, Any]] = [
        {
            "id": name,
            "returnData": False,
            "metricStat": {
                "metric": {
                    "namespace": metric.namespace,
                    "metricName": metric.name,
                    "dimensions": _dimensions(metric),
                },
                "stat": metric.statistic,
                "period": alarm.period_seconds,
            },
        }
        for name, metric in alarm.metrics.items()
    ]
    return {"metrics": [*queries, {"id": "watched", "expression": alarm.expression, "label": alarm.name}]}


def _dimensions(metric: Metric) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in metric.dimensions.items()]
