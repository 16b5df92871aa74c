"""What the tests have created in the account: found by name and tag, and removed, whatever state it is in."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from cruddur_messages.dynamodb import error_code
from tests.aws.account import TAG, Account

GONE = {"AWS.SimpleQueueService.NonExistentQueue", "NoSuchEntity", "NotFound", "QueueDoesNotExist"}
GONE |= {"ResourceNotFoundException", "ValidationError"}

DELETABLE = {"CREATE_IN_PROGRESS", "REVIEW_IN_PROGRESS"}
"""Else a stack cannot be deleted or its protection not be changed (CloudFormation User Guide, "Protect ... stacks")."""


class Found(NamedTuple):
    """Something with a name as the tests give it; it is theirs if it also has their tag."""

    kind: str
    id: str
    is_ours: bool


def find(account: Account) -> list[Found]:
    """Everything in the account whose name begins with the name of the run.

    Subscriptions are not among it: they end with the topic of the stack (SNS API reference, "DeleteTopic").
    """
    prefix, found = f"{account.name}-", list[Found]()

    def add(kind: str, id_: str, tags: Callable[[], Mapping[str, Any]]) -> None:
        if id_.rpartition("/")[2].startswith(prefix):
            is_there(lambda: found.append(Found(kind, id_, is_ours=(TAG, account.name) in _pairs(tags()))))

    for stack in account.pages("cloudformation", "describe_stacks", "Stacks"):
        add("stack", stack["StackName"], partial(_tags_of_stack, account, stack))
    dynamodb, sqs, iam, logs = (account.client(service) for service in ("dynamodb", "sqs", "iam", "logs"))
    for table in account.pages("dynamodb", "list_tables", "TableNames"):
        add("table", table, partial(_tags_of_table, dynamodb, table))
    for url in account.pages("sqs", "list_queues", "QueueUrls", QueueNamePrefix=prefix):
        add("queue", url, partial(sqs.list_queue_tags, QueueUrl=url))
    for role in account.pages("iam", "list_roles", "Roles"):
        add("role", role["RoleName"], partial(iam.list_role_tags, RoleName=role["RoleName"]))
    for start in (prefix, f"/aws/lambda/{prefix}"):
        for group in account.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=start):
            arn = group["arn"].removesuffix(":*")
            add("log group", group["logGroupName"], partial(logs.list_tags_for_resource, resourceArn=arn))
    return found


def remove_all(account: Account) -> None:
    """Remove everything that is ours: the stacks first, then what they retain and what the tests made by hand."""
    stacks = [one.id for one in find(account) if one.kind == "stack" and one.is_ours]
    # The main stack imports the table's stream from the table stack.
    for is_table in (False, True):
        together = [stack for stack in stacks if stack.endswith("-table") is is_table]
        for stack in together:
            print(f"removing stack {stack}", flush=True)  # noqa: T201
            _begin_deletion(account, stack)
        for stack in together:
            # Deleting the function's network interfaces alone can take twenty minutes.
            wait = {"Delay": 1 if account.is_emulator else 10, "MaxAttempts": 240}
            waiter = account.client("cloudformation").get_waiter("stack_delete_complete")
            waiter.wait(StackName=stack, WaiterConfig=wait)
    for one in find(account):
        if one.is_ours:
            print(f"removing {one.kind} {one.id}", flush=True)  # noqa: T201
            remove(account, one.kind, one.id)


def remove(account: Account, kind: str, id_: str) -> None:
    """Remove one thing, if it exists."""
    is_there(lambda: _REMOVERS[kind](account, id_))


def is_there(call: Callable[[], object]) -> bool:
    """Make a call; returns False if what it is about does not exist."""
    try:
        call()
    except ClientError as error:
        if error_code(error) not in GONE:
            raise
        return False
    return True


def _begin_deletion(account: Account, stack: str) -> None:
    cloudformation = account.client("cloudformation")

    def is_settled() -> bool:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return found["StackStatus"] in DELETABLE or not found["StackStatus"].endswith("_IN_PROGRESS")

    if is_there(lambda: account.within(60, f"what is under way with the stack {stack} ends", is_settled)):
        cloudformation.update_termination_protection(StackName=stack, EnableTerminationProtection=False)
        cloudformation.delete_stack(StackName=stack)


def _pairs(response: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The tags of a response; services return them in three forms."""
    tags = response.get("Tags") or response.get("tags") or {}
    return set(tags.items()) if isinstance(tags, dict) else {(one["Key"], one["Value"]) for one in tags}


def _tags_of_stack(account: Account, stack: Any) -> Any:
    """Its own; since `cdk import` sets none, those of its table."""
    tables = account.physical_ids(stack["StackName"], "AWS::DynamoDB::Table")
    return stack if stack.get("Tags") or not tables else _tags_of_table(account.client("dynamodb"), tables[0])


def _tags_of_table(dynamodb: Any, name: str) -> Any:
    arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
    return dynamodb.list_tags_of_resource(ResourceArn=arn)


def _remove_table(account: Account, name: str) -> None:
    dynamodb = account.client("dynamodb")
    if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    dynamodb.delete_table(TableName=name)
    dynamodb.get_waiter("table_not_exists").wait(TableName=name)


def _remove_role(account: Account, name: str) -> None:
    iam = account.client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


_REMOVERS: Mapping[str, Callable[[Account, str], object]] = {
    "table": _remove_table,
    "role": _remove_role,
    "queue": lambda account, url: account.client("sqs").delete_queue(QueueUrl=url),
    "log group": lambda account, name: account.client("logs").delete_log_group(logGroupName=name),
}
