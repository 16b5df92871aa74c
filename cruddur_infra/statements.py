"""Conditions that several policies share."""

from cruddur_infra.settings import Settings

Conditions = dict[str, dict[str, object]]


def only_partitions(settings: Settings, *prefixes: str) -> Conditions:
    """Only keys of partitions that begin so; the guard, since ForAllValues also holds where no key is in the request.

    IAM User Guide, "Single-valued vs. multivalued context keys". The emulator cannot evaluate the guard.
    """
    leading_keys: Conditions = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}*" for prefix in prefixes]}
    }
    if settings.emulator:
        return leading_keys
    return leading_keys | {"Null": {"dynamodb:LeadingKeys": "false"}}


def in_transaction() -> Conditions:
    """Only as part of TransactWriteItems (DynamoDB Developer Guide, "Using IAM with DynamoDB transactions")."""
    return {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}


def through(settings: Settings, data_path: dict[str, str]) -> Conditions:
    """Only requests that have come by this way into DynamoDB. The emulator cannot evaluate it."""
    return {} if settings.emulator else {"StringEquals": dict(data_path)}
