"""The steps of the state machine that checks the whole table: export, wait, start the job, wait, succeed or fail."""

from typing import Any

from aws_cdk import Aws

from cruddur_messages.audit.export import FORMAT

EXPORTS = "exports"
FINDINGS = "findings"
SECONDS_BETWEEN_LOOKS = 60
HOURS_OF_A_RUN = 12

RECOVERY_IS_OFF = "RecoveryIsOff"

EXPORT_ID = "States.ArrayGetItem(States.StringSplit($.ExportDescription.ExportArn, '/'), 3)"
"""The end of arn:...:table/<name>/export/<id>. The files are below AWSDynamoDB/<id> (Developer Guide, "DynamoDB table
export output format")."""

UNDER_WAY = ("STARTING", "RUNNING", "STOPPING", "WAITING")
"""States of a job run that are not its last (Glue API, "JobRun")."""

RETRY = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 5, "MaxAttempts": 5, "BackoffRate": 2}]
"""What only reads is asked again; what starts something is not."""


def definition(*, table_arn: str, bucket: str, job_name: str) -> dict[str, Any]:
    """The state machine. A failed step ends it with the step's name as the error, so that its history says enough."""
    return {
        "StartAt": "Export",
        "TimeoutSeconds": HOURS_OF_A_RUN * 3600,
        "States": {
            "Export": _task(
                "dynamodb:exportTableToPointInTime",
                {
                    "TableArn": table_arn,
                    "S3Bucket": bucket,
                    "S3Prefix": EXPORTS,
                    "S3SseAlgorithm": "AES256",
                    "ExportFormat": FORMAT,
                },
                "WaitForExport",
                Catch=[{"ErrorEquals": ["DynamoDb.PointInTimeRecoveryUnavailableException"], "Next": RECOVERY_IS_OFF}],
            ),
            RECOVERY_IS_OFF: {
                "Type": "Fail",
                "Error": RECOVERY_IS_OFF,
                "Cause": "An export needs point-in-time recovery: switch it on for the table, or set audit_days=0",
            },
            "WaitForExport": _wait("LookAtExport"),
            "LookAtExport": _task(
                "dynamodb:describeExport",
                {"ExportArn.$": "$.ExportDescription.ExportArn"},
                "IsExported",
                Retry=RETRY,
            ),
            "IsExported": _choice(
                "$.ExportDescription.ExportStatus",
                {"IN_PROGRESS": "WaitForExport", "COMPLETED": "Check"},
                "ExportFailed",
            ),
            "ExportFailed": {"Type": "Fail", "Error": "ExportFailed", "CausePath": "$.ExportDescription.ExportArn"},
            "Check": _task(
                "glue:startJobRun",
                {
                    "JobName": job_name,
                    "Arguments": {
                        "--location.$": f"States.Format('s3://{bucket}/{EXPORTS}/AWSDynamoDB/{{}}', {EXPORT_ID})",
                        "--output.$": f"States.Format('s3://{bucket}/{FINDINGS}/{{}}', $$.Execution.Name)",
                    },
                },
                "WaitForCheck",
            ),
            "WaitForCheck": _wait("LookAtCheck"),
            "LookAtCheck": _task(
                "glue:getJobRun",
                {"JobName": job_name, "RunId.$": "$.JobRunId"},
                "IsChecked",
                Retry=RETRY,
                ResultSelector={"JobRunId.$": "$.JobRun.Id", "State.$": "$.JobRun.JobRunState"},
            ),
            "IsChecked": _choice(
                "$.State",
                {
                    "SUCCEEDED": "Checked",
                    **dict.fromkeys(UNDER_WAY, "WaitForCheck"),
                },
                "CheckFailed",
            ),
            "CheckFailed": {"Type": "Fail", "Error": "CheckFailed", "CausePath": "$.JobRunId"},
            "Checked": {"Type": "Succeed"},
        },
    }


def _task(call: str, parameters: dict[str, Any], following: str, **more: Any) -> dict[str, Any]:
    resource = f"arn:{Aws.PARTITION}:states:::aws-sdk:{call}"
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "Next": following, **more}


def _wait(following: str) -> dict[str, Any]:
    return {"Type": "Wait", "Seconds": SECONDS_BETWEEN_LOOKS, "Next": following}


def _choice(variable: str, following: dict[str, str], default: str) -> dict[str, Any]:
    choices = [{"Variable": variable, "StringEquals": value, "Next": state} for value, state in following.items()]
    return {"Type": "Choice", "Choices": choices, "Default": default}
