"""The removal of what a run has created, in any state: by the services' own calls, without the CDK app."""

from collections.abc import Callable, Mapping
from functools import partial

from botocore.exceptions import ClientError, WaiterError

from aws_proof.claims import DiffersError, StopError
from aws_proof.journal import Made
from aws_proof.world import World, code

GONE = frozenset(
    {"NoSuchEntity", "ResourceNotFoundException", "ValidationError", "NotFound", "NotFoundException"}
    | {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
)

IN_MOTION = ("UPDATE_", "DELETE_", "IMPORT_", "ROLLBACK_")
"""Of the statuses, `..._IN_PROGRESS`, in which a stack cannot be deleted or its protection not be changed.

The latter: CloudFormation User Guide, "Protect CloudFormation stacks from being deleted".
"""

STACK_WAIT = {"Delay": 10, "MaxAttempts": 240}
"""Forty minutes: deleting the function's network interfaces alone can take twenty."""

STACK_WAIT_ON_EMULATOR = {"Delay": 1, "MaxAttempts": 120}


def remove_all(world: World) -> None:
    """Remove everything that the journal names, the newest first."""
    while world.journal.made:
        remove(world, world.journal.made[-1])


def remove(world: World, made: Made) -> None:
    """Remove one thing, if it exists, and record it. Raises StopError if it cannot be removed."""
    world.say(f"removing {made.kind} {made.name}")
    _REMOVERS[made.kind](world, made.name)
    world.journal.gone(made)


def _system(world: World, name: str) -> None:
    """The stacks of a system, then what prod retains when its stacks are deleted."""
    cloudformation = world.client("cloudformation")
    for stack in (name, f"{name}-table"):
        if not _is_there_and_can_go(world, stack):
            continue
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
            for resource in page["StackResourceSummaries"]:
                # In prod they are retained when the stack is deleted.
                if resource["ResourceType"] == "AWS::Logs::LogGroup" and "PhysicalResourceId" in resource:
                    world.journal.make("log-group", resource["PhysicalResourceId"])
        cloudformation.update_termination_protection(StackName=stack, EnableTerminationProtection=False)
        _unprotect(world, world.table_name)
        cloudformation.delete_stack(StackName=stack)
        try:
            wait = STACK_WAIT_ON_EMULATOR if world.is_rehearsal else STACK_WAIT
            cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=wait)
        except WaiterError as error:
            if "Error" in error.last_response:
                raise
            raise StopError(f"the stack {stack} is not deleted ({error}): see its events in CloudFormation") from error
    _table(world, world.table_name)


def _is_there_and_can_go(world: World, stack: str) -> bool:
    """Whether the stack exists, once no update or deletion runs: CloudFormation accepts neither change during one.

    Raises StopError if it does not end.
    """
    cloudformation = world.client("cloudformation")

    def settled() -> bool | None:
        try:
            (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            if code(error) in GONE:
                return False
            raise
        status = str(found["StackStatus"])
        return None if status.startswith(IN_MOTION) and status.endswith("_IN_PROGRESS") else True

    try:
        return world.wait(f"what is under way with the stack {stack} ends", settled, minutes=60)
    except DiffersError as error:
        raise StopError(f"{error}: see its events in CloudFormation") from error


def _log_group(world: World, name: str) -> None:
    logs = world.client("logs")
    is_there(partial(logs.delete_log_group, logGroupName=name))


def _table(world: World, name: str) -> None:
    dynamodb = world.client("dynamodb")
    if _unprotect(world, name):
        dynamodb.delete_table(TableName=name)
        dynamodb.get_waiter("table_not_exists").wait(TableName=name)


def _unprotect(world: World, name: str) -> bool:
    """Turn deletion protection off; returns whether the table exists."""
    dynamodb = world.client("dynamodb")
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if code(error) in GONE:
            return False
        raise
    if table.get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        dynamodb.get_waiter("table_exists").wait(TableName=name)
    return True


def _role(world: World, name: str) -> None:
    iam = world.client("iam")
    if is_there(lambda: iam.get_role(RoleName=name)):
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)


def _queue(world: World, name: str) -> None:
    sqs = world.client("sqs")
    try:
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except ClientError as error:
        if code(error) not in GONE:
            raise


def is_there(ask: Callable[[], object]) -> bool:
    """Whether a call finds what it asks for."""
    try:
        ask()
    except ClientError as error:
        if code(error) in GONE:
            return False
        raise
    return True


_REMOVERS: Mapping[str, Callable[[World, str], None]] = {
    "system": _system,
    "table": _table,
    "role": _role,
    "queue": _queue,
    "log-group": _log_group,
}
