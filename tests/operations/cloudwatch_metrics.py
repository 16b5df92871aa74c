"""Metrics that AWS keeps of the deployed resources, with their dimensions, as its guides list them.

Lambda Developer Guide, "Types of metrics for Lambda functions"; DynamoDB Developer Guide, "DynamoDB metrics and
dimensions"; SQS Developer Guide, "Available CloudWatch metrics for Amazon SQS".
"""

FUNCTION = frozenset({"FunctionName"})
MAPPING = frozenset({"EventSourceMappingUUID"})
QUEUE = frozenset({"QueueName"})
TABLE = frozenset({"TableName"})
OPERATION = frozenset({"TableName", "Operation"})
INDEX = frozenset({"TableName", "GlobalSecondaryIndexName"})
ACCOUNT = frozenset[str]()

KEPT = {
    ("AWS/Lambda", "Invocations"): {FUNCTION},
    ("AWS/Lambda", "Errors"): {FUNCTION},
    ("AWS/Lambda", "Throttles"): {FUNCTION},
    ("AWS/Lambda", "Duration"): {FUNCTION},
    ("AWS/Lambda", "IteratorAge"): {FUNCTION},
    ("AWS/Lambda", "DestinationDeliveryFailures"): {FUNCTION},
    ("AWS/Lambda", "PolledEventCount"): {MAPPING},
    ("AWS/Lambda", "FilteredOutEventCount"): {MAPPING},
    ("AWS/Lambda", "InvokedEventCount"): {MAPPING},
    ("AWS/Lambda", "DroppedEventCount"): {MAPPING},
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits"): {TABLE, INDEX},
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits"): {TABLE, INDEX},
    ("AWS/DynamoDB", "ReadThrottleEvents"): {TABLE, INDEX},
    ("AWS/DynamoDB", "WriteThrottleEvents"): {TABLE, INDEX},
    ("AWS/DynamoDB", "SuccessfulRequestLatency"): {OPERATION},
    ("AWS/DynamoDB", "SystemErrors"): {OPERATION},
    ("AWS/DynamoDB", "UserErrors"): {ACCOUNT},
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {QUEUE},
}
