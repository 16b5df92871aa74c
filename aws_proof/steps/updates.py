"""Settings change while people write."""

from collections.abc import Mapping
from threading import Event, Thread

from aws_proof.claims import DiffersError, claim
from aws_proof.world import World
from cruddur_cli.smoke.report import Report

CHANGES: tuple[Mapping[str, str], ...] = (
    {"batch_size": "50"},
    {"memory_mb": "1024"},
    {"vpc_cidr": "10.87.0.0/24"},
)

LATEST_SECONDS = 900.0


@claim(
    "A change of batch size, memory or vpc_cidr replaces neither table nor stream, mapping, function or failure queue; "
    "meanwhile no message is lost."
)
def settings_change(world: World) -> str:
    """Each setting is deployed while made-up people send messages without a pause. Names and ids are compared."""
    before = lasting(world)
    stopped, reports, errors = Event(), list[Report](), list[Exception]()

    def write() -> None:
        try:
            while not stopped.is_set():
                reports.append(world.smoke(messages=10, limit_seconds=LATEST_SECONDS))
        except Exception as error:
            errors.append(error)

    settings: dict[str, str] = {}
    # After Ctrl-C nothing waits for it: what it writes is deleted with the table.
    writing = Thread(target=write, daemon=True)
    writing.start()
    try:
        for change in CHANGES:
            settings |= change
            world.deploy(**settings)
            after = lasting(world)
            if after != before:
                changed = ", ".join(name for name in before if before[name] != after[name])
                raise DiffersError(f"{change} has replaced: {changed}")
    except KeyboardInterrupt:
        stopped.set()
        raise
    except Exception:
        _end(writing, stopped)
        raise
    _end(writing, stopped)
    if errors:
        raise errors[0]
    if problems := [problem for report in reports for problem in report.problems]:
        raise DiffersError("; ".join(problems))
    delays = [delay for report in reports for delay in report.delays]
    return f"{len(delays)} messages meanwhile, the longest delay {max(delays):.1f} s; no resource was replaced"


def _end(writing: Thread, stopped: Event) -> None:
    stopped.set()
    writing.join()


def lasting(world: World) -> Mapping[str, str]:
    """The id of each resource that must not be replaced."""
    table = world.client("dynamodb").describe_table(TableName=world.table_name)["Table"]
    function = world.client("lambda").get_function_configuration(FunctionName=f"{world.system}-projection")
    return {
        "table": table.get("TableId", table["TableArn"]),
        "stream": table["LatestStreamArn"],
        "mapping": world.mapping()["UUID"],
        "function": function["FunctionArn"],
        "failure queue": world.outputs()["FailureQueueUrl"],
    }
