"""What is left after the removal."""

from aws_proof import removal
from aws_proof.claims import DiffersError, claim
from aws_proof.world import TAG, World


@claim("After everything is removed, nothing carries the tag of this run.")
def nothing_left(world: World) -> str:
    """What was made is removed, and the Resource Groups Tagging API is asked for the tag."""
    removal.remove_all(world)
    remaining: list[str] = []

    def is_empty() -> bool | None:
        # The tagging API goes on naming what is gone for a while.
        remaining[:] = [arn for arn in tagged(world) if not is_going(world, arn)]
        return True if not remaining else None

    try:
        world.wait("nothing is left", is_empty, minutes=15)
    except DiffersError:
        raise DiffersError(f"left: {', '.join(remaining)}") from None
    return "nothing but keys that are waiting for their deletion" if tagged(world) else "nothing"


def tagged(world: World) -> list[str]:
    """The ARNs of what carries the tag of this run."""
    pages = (
        world.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(TagFilters=[{"Key": TAG, "Values": [world.journal.name]}])
    )
    return [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]


def is_going(world: World, arn: str) -> bool:
    """Whether it is a key of KMS that waits for its deletion, which takes AWS at least seven days."""
    if ":kms:" not in arn:
        return False
    return bool(world.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "PendingDeletion")
