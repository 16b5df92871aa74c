"""What is left after the removal."""

from botocore.exceptions import ClientError

from aws_proof import removal
from aws_proof.claims import DiffersError, claim
from aws_proof.world import TAG, World, code


@claim("After everything is removed, no resource has the tag of this run.")
def nothing_left(world: World) -> str:
    """Everything that was created is removed. Then the Resource Groups Tagging API is asked for the tag.

    It also lists deleted resources for a time. So DynamoDB is asked whether a table exists, and KMS whether a key is
    being deleted.
    """
    removal.remove_all(world)
    left: list[str] = []
    excused: set[str] = set()

    def is_empty() -> bool | None:
        excuses = {arn: excuse(world, arn) for arn in tagged(world)}
        left[:] = [arn for arn, why in excuses.items() if why is None]
        excused.clear()
        excused.update(why for why in excuses.values() if why)
        return None if left else True

    try:
        world.wait("nothing is left", is_empty, minutes=15)
    except DiffersError:
        raise DiffersError(f"left: {', '.join(left)}") from None
    return f"nothing; still named: {', '.join(sorted(excused))}" if excused else "nothing"


def tagged(world: World) -> list[str]:
    """The ARNs of the resources with the tag of this run."""
    pages = (
        world.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(TagFilters=[{"Key": TAG, "Values": [world.journal.name]}])
    )
    return [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]


def excuse(world: World, arn: str) -> str | None:
    """Why a resource with the tag does not count as left; None if it does."""
    service, resource = arn.split(":", 5)[2::3]
    try:
        if service == "dynamodb":
            world.client("dynamodb").describe_table(TableName=resource.split("/")[1])
        elif service == "kms" and _state_of_key(world, arn) == "PendingDeletion":
            # AWS takes at least seven days for it (KMS, ScheduleKeyDeletion).
            return "keys whose deletion is scheduled"
    except ClientError as error:
        if code(error) not in removal.GONE:
            raise
        return "resources that their own service no longer has"
    return None


def _state_of_key(world: World, arn: str) -> str:
    return str(world.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"])
