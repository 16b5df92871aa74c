"""The alarms of the audit, and their topic."""

from constructs import Construct

from cruddur_infra.monitoring.alarm_topic import AlarmTopic
from cruddur_infra.monitoring.alarms import Alarm
from cruddur_infra.monitoring.metrics import Metric
from cruddur_infra.monitoring.monitoring import add_alarm
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
        hours = 24 * every_days + SLACK_HOURS
        findings = Alarm(
            name="audit-findings",
            says="The check of the whole table has found broken promises.",
            metrics={"findings": Metric(system, METRIC, "Sum", {SYSTEM_DIMENSION: system})},
            period_seconds=HOUR,
            periods=1,
            breaching=1,
            # Between two checks, the state stays.
            missing="ignore",
        )
        missing = Alarm(
            name="audit-missing",
            says=f"The whole table has not been checked for {hours} hours.",
            metrics={
                "succeeded": Metric("AWS/States", "ExecutionsSucceeded", "Sum", {"StateMachineArn": state_machine_arn})
            },
            below=1,
            period_seconds=HOUR,
            periods=hours,
            breaching=hours,
            missing="breaching",
            # The schedule starts the first run when it is created (EventBridge Scheduler User Guide, "Schedule
            # types"), and a run ends within twelve hours.
            warm_up_minutes=min(hours * 60, LONGEST_WARM_UP_MINUTES),
        )
        for alarm in (findings, missing):
            add_alarm(self, alarm, system=system, topic_arn=self.topic_arn)
