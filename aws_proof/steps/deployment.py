"""Deployment, operation, drift and removal."""

from collections.abc import Callable

from botocore.exceptions import ClientError

from aws_proof.claims import DiffersError, claim
from aws_proof.world import World, code


@claim("The stacks deploy for the first time, and Lambda reads the stream.", blocks=True)
def deploys(world: World) -> str:
    """`cdk deploy --all` under an unused name, until the event source mapping is enabled."""
    seconds = world.deploy()
    world.wait("the mapping is enabled", lambda: world.mapping()["State"] == "Enabled" or None, minutes=5)
    return f"deployed in {seconds:.0f} s, the mapping is enabled"


@claim("Every message reaches every inbox, once, in order.", blocks=True)
def smoke_passes(world: World) -> str:
    """`bin/ddb smoke`: made-up people send messages, and each message must reach all inboxes."""
    # The first batch of a new mapping may take minutes.
    world.require_smoke(messages=1, limit_seconds=300)
    return world.require_smoke(messages=20)


@claim(
    "Lambda's own calls for stream and network do not carry lambda:SourceFunctionArn: the Deny does not apply to them.",
    not_on_emulator="the emulator needs no permission to read the stream, and creates no network interface",
)
def source_function_arn(world: World) -> str:
    """The role denies these calls to requests with the function's ARN. Mapping and function must be active."""
    _, document = world.role_policy()
    denies = [one["Sid"] for one in document["Statement"] if one["Effect"] == "Deny"]
    if not denies:
        raise DiffersError("the deployed role denies nothing, so this shows nothing")
    function = world.client("lambda").get_function_configuration(FunctionName=f"{world.system}-projection")
    result = world.mapping().get("LastProcessingResult", "")
    if function["State"] != "Active" or result != "OK":
        raise DiffersError(f"the function is {function['State']}, the mapping's last result is {result!r}")
    return f"the role has {' and '.join(denies)}; the function is active, the mapping's last result is OK"


@claim("No resource drifts from its template.")
def nothing_drifts(world: World) -> str:
    """Drift detection of every stack of the system, after all manual changes were undone."""
    cloudformation = world.client("cloudformation")
    stacks = stacks_of(world)
    for stack in stacks:
        asked = cloudformation.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]

        def ended(asked: str = asked) -> str | None:
            found = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=asked)
            if found["DetectionStatus"] == "DETECTION_IN_PROGRESS":
                return None
            return str(found.get("StackDriftStatus", found["DetectionStatus"]))

        status = world.wait(f"drift detection of {stack} ends", ended, minutes=10)
        if status != "IN_SYNC":
            drifted = cloudformation.describe_stack_resource_drifts(
                StackName=stack, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"]
            )["StackResourceDrifts"]
            names = ", ".join(one["LogicalResourceId"] for one in drifted)
            raise DiffersError(f"{stack} is {status}: {names or 'no resource is named'}")
    return f"{', '.join(stacks)}: in sync"


@claim(
    "Neither the table of prod nor its stack can be deleted by mistake.",
    not_on_emulator="the emulator ignores deletion protection, and the stage local protects nothing",
)
def prod_is_protected(world: World) -> str:
    """An administrator tries to delete the table stack and the table. Both must be refused."""
    refusals = []
    attempts: tuple[tuple[str, Callable[[], object]], ...] = (
        ("the stack", lambda: world.client("cloudformation").delete_stack(StackName=f"{world.system}-table")),
        ("the table", lambda: world.client("dynamodb").delete_table(TableName=world.table_name)),
    )
    for what, call in attempts:
        try:
            call()
        except ClientError as error:
            if code(error) != "ValidationError" and code(error) != "ValidationException":
                raise
            refusals.append(f"{what}: {code(error)}")
        else:
            raise DiffersError(f"{what} is being deleted")
    return "refused, " + ", ".join(refusals)


@claim("`cdk destroy --all` removes everything that the deployment created.")
def destroys(world: World) -> str:
    """`cdk destroy --all`, then CloudFormation is asked for the stacks, and DynamoDB for the table."""
    begun = world.clock()
    world.cdk("destroy", "--all", "--force")
    if stacks := stacks_of(world):
        raise DiffersError(f"still there: {', '.join(stacks)}")
    if has_table(world):
        raise DiffersError(f"the table {world.table_name} is still there")
    return f"stacks and table are gone after {world.clock() - begun:.0f} s"


def stacks_of(world: World) -> list[str]:
    """The stacks of the system that exist, the table stack last."""
    found = []
    for stack in (world.system, f"{world.system}-table"):
        try:
            world.client("cloudformation").describe_stacks(StackName=stack)
        except ClientError as error:
            if code(error) != "ValidationError":
                raise
        else:
            found.append(stack)
    return found


def has_table(world: World) -> bool:
    """Whether the table exists."""
    try:
        world.client("dynamodb").describe_table(TableName=world.table_name)
    except ClientError as error:
        if code(error) != "ResourceNotFoundException":
            raise
        return False
    return True
