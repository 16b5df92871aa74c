"""The alarms of the audit, and their topic."""

from typing import Any

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cruddur_infra.constructs.audit import PART
from cruddur_infra.monitoring.alarm_topic import AlarmTopic
from cruddur_infra.monitoring.alarms import RUNBOOK
from cruddur_messages.audit import METRIC, SYSTEM_DIMENSION

HOUR = 3600
SLACK_HOURS = 12

LONGEST_WARM_UP_MINUTES = 2 * 24 * 60
"""CloudWatch User Guide, "Alarm warm-up periods"."""


class AuditAlarms(Construct):
    """Findings, and no success for half a day longer than the interval."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        system: str,
        state_machine_arn: str,
        every_days: int,
        encrypted: bool,
        email: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic_arn = AlarmTopic(self, "Alarms", system=system, encrypted=encrypted, email=email).topic.ref
        self._alarm(
            "findings",
            f"{system}-{PART}-findings",
            "The check of the whole table has found broken promises.",
            namespace=system,
            metric_name=METRIC,
            dimensions=[{"name": SYSTEM_DIMENSION, "value": system}],
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            evaluation_periods=1,
            treat_missing_data="ignore",
        )
        hours = 24 * every_days + SLACK_HOURS
        self._alarm(
            "missing",
            f"{system}-{PART}-missing",
            f"The whole table has not been checked for {hours} hours.",
            namespace="AWS/States",
            metric_name="ExecutionsSucceeded",
            dimensions=[{"name": "StateMachineArn", "value": state_machine_arn}],
            comparison_operator="LessThanThreshold",
            threshold=1,
            evaluation_periods=hours,
            treat_missing_data="breaching",
            # The schedule starts the first run when it is created (EventBridge Scheduler User Guide, "Schedule
            # types"), and a run ends within twelve hours.
            warm_up_configuration=cloudwatch.CfnAlarm.WarmUpConfigurationProperty(
                warm_up_period_duration_in_minutes=min(hours * 60, LONGEST_WARM_UP_MINUTES)
            ),
        )

    def _alarm(self, name: str, alarm_name: str, says: str, **measured: Any) -> None:
        cloudwatch.CfnAlarm(
            self,
            name.capitalize(),
            alarm_name=alarm_name,
            alarm_description=f"{says} What to do: {RUNBOOK}, {PART}-{name}",
            statistic="Sum",
            period=HOUR,
            alarm_actions=[self.topic_arn],
            ok_actions=[self.topic_arn],
            **measured,
        )
