"""AWS's prices in us-east-1, in US dollars without tax, as of `AS_OF`.

They were compared on that day with several price guides of 2026, which agree. AWS's own list was not available.
"""

from dataclasses import dataclass

AS_OF = "2026-11-20"
REGION = "us-east-1"

WRITE_UNIT = 0.625 / 1e6
READ_UNIT = 0.125 / 1e6
STORED_GB_MONTH = 0.25
RECOVERY_GB_MONTH = 0.20

EXPORTED_GB = 0.10
OBJECTS_GB_MONTH = 0.023
GLUE_DPU_HOUR = 0.44

LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_GB_SECOND = 0.0000133334

LOG_GB = 0.50
METRIC_MONTH = 0.30
ALARM_METRIC_MONTH = 0.10
DASHBOARD_MONTH = 3.00
KEY_MONTH = 1.00

NAT_GATEWAY_HOUR = 0.045
NAT_GATEWAY_GB = 0.045

HOURS_OF_A_MONTH = 730
DAYS_OF_A_MONTH = 30
"""The hours or days of a month in price lists."""


@dataclass(frozen=True, kw_only=True)
class FreeTier:
    """CloudWatch's free tier, per account and month."""

    alarm_metrics: int
    own_metrics: int
    dashboards: int


FREE_TIER = FreeTier(alarm_metrics=10, own_metrics=10, dashboards=3)
NO_FREE_TIER = FreeTier(alarm_metrics=0, own_metrics=0, dashboards=0)
