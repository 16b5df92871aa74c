"""Conditions that several policies share."""

Conditions = dict[str, dict[str, object]]


def only_partitions(*prefixes: str) -> Conditions:
    """Only keys of partitions with these prefixes.

    `Null` refuses requests without keys, for which ForAllValues is true (IAM User Guide, "Single-valued vs. multivalued
    context keys").
    """
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}*" for prefix in prefixes]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def in_transaction() -> Conditions:
    """Only as part of TransactWriteItems (DynamoDB Developer Guide, "Using IAM with DynamoDB transactions")."""
    return {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
