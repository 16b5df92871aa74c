"""What `make prove-on-aws` runs."""

import os
import platform
import re
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import boto3
import typer
from botocore.exceptions import ClientError
from rich.console import Console
from typer.exceptions import TyperException

from aws_proof import page as pages
from aws_proof import removal
from aws_proof.claims import StopError
from aws_proof.errors import explained
from aws_proof.journal import Journal
from aws_proof.runner import CutOffError, clean_up, removal_command, run
from aws_proof.steps import CLAIMS, PHASES
from aws_proof.steps.deployment import has_table, stacks_of
from aws_proof.world import FOLDER, World, code

NAME = "cruddur-aws-proof"
NAMES = re.compile(r"[a-z][a-z0-9-]{2,29}")
INTERRUPTED = 128 + signal.SIGINT

MADE = """This deploys the system into an account, tests {claims} claims about AWS on it, and removes it again.
  account   {account}
  region    {region}
  makes     stacks, tables, roles and queues called {name}..., all with the tag cruddur-aws-proof={name}
  costs     less than a dollar, by AWS's prices; not measured on AWS yet
  takes     between half an hour and two hours; this has not been timed on AWS yet.
            Most of it is waiting for alarms, and five times for AWS to delete network interfaces: 20 minutes each"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True, highlight=False, soft_wrap=True)


@app.command()
def main(
    name: Annotated[str, typer.Option(help="The name of everything that is created.")] = NAME,
    region: Annotated[str | None, typer.Option(help="The region; by default that of the AWS configuration.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Run on the emulator of make up, not on AWS.")] = False,
    only_clean_up: Annotated[
        bool, typer.Option("--clean-up", help="Remove what a run has left; test nothing.")
    ] = False,
    page: Annotated[Path | None, typer.Option(help="The file to write the page to.")] = None,
) -> None:
    """Test every claim about AWS; exit status 1 if any differs."""
    if not NAMES.fullmatch(name):
        raise StopError(f"NAME is {name!r}; it takes 3 to 30 of a-z, 0-9 and hyphens, a letter first")
    world = _world(name, region, rehearse=rehearse)
    journal = world.journal
    if only_clean_up:
        if not journal.made:
            raise StopError(f"no run called {name} has left anything in {journal.region}")
        console.print(clean_up(world))
        if journal.made:
            sys.exit(1)
        journal.path.unlink()
        return
    if journal.path.exists():
        console.print(f"continuing the run of {journal.begun}; {removal_command(world)} removes it instead")
    else:
        _refuse_taken(world)
    _confirm(world, yes=yes)
    journal.save()
    # Read before the run: the commit may have changed when it ends.
    versions = _versions(world)
    # A machine that cancels the run is to leave as little behind as a person who presses Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cut_off: CutOffError | None = None
    try:
        run(world, PHASES)
    except CutOffError as error:
        cut_off = error
    written = page or FOLDER / f"{name}.md"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(pages.page(journal, CLAIMS, place=_place(world), versions=versions))
    console.print(f"the page: {written}")
    if not journal.made and (cut_off is None or not isinstance(cut_off.__cause__, Exception)):
        # Nothing is left to continue or to clean up.
        journal.path.unlink(missing_ok=True)
    if cut_off:
        raise cut_off
    if pages.has_failed(journal):
        sys.exit(1)


def _world(name: str, region: str | None, *, rehearse: bool) -> World:
    environment = dict(os.environ)
    path = FOLDER / f"{name}.json"
    if rehearse:
        from cruddur_local import system
        from cruddur_local.emulator import OVERRIDING_VARIABLES, REGION

        kept = {key: value for key, value in environment.items() if key not in OVERRIDING_VARIABLES}
        emulator = system.running()
        environment = kept | emulator.variables | {"AWS_ENDPOINT_URL_DYNAMODB": emulator.endpoint}
        region = REGION
    elif redirected := sorted(key for key in environment if key.startswith("AWS_ENDPOINT_URL")):
        raise StopError(f"{redirected[0]} is set, which is not AWS: unset it, or use REHEARSE=1 for the emulator")
    region = region or environment.get("AWS_REGION") or boto3.Session().region_name
    if not region:
        raise StopError("no AWS region is set: use REGION=..., set AWS_REGION, or run aws configure")
    journal = Journal.load(path)
    world = World(
        journal or Journal(path, name, "", region, datetime.now(UTC).isoformat(timespec="seconds")),
        say=console.print,
        environment=environment,
        is_rehearsal=rehearse,
    )
    account = world.client("sts").get_caller_identity()["Account"]
    if journal and (journal.account, journal.region) != (account, region):
        raise StopError(
            f"a run called {name} was interrupted in account {journal.account}, {journal.region}, and these "
            f"credentials are for {account}, {region}: use credentials of that account, or another NAME="
        )
    world.journal.account = account
    return world


def _refuse_taken(world: World) -> None:
    try:
        world.client("cloudformation").describe_stacks(StackName="CDKToolkit")
    except ClientError as error:
        if code(error) != "ValidationError":
            raise
        raise StopError(
            f"{world.journal.region} of this account has no CDK bootstrap stack: run npx cdk bootstrap "
            f"aws://{world.journal.account}/{world.journal.region}"
        ) from error
    for stage in ("local",) if world.is_rehearsal else ("dev", "prod"):
        world.stage = stage
        if found := stacks_of(world):
            raise StopError(f"this account has a stack called {found[0]}: choose another name with NAME=")
        # Whatever has such a name when the run ends, the run removes.
        for kind, name, find in (
            ("role", world.probe_name, lambda: world.client("iam").get_role(RoleName=world.probe_name)),
            ("queue", world.notices_name, lambda: world.client("sqs").get_queue_url(QueueName=world.notices_name)),
        ):
            if removal.is_there(find):
                raise StopError(f"this account has a {kind} called {name}: choose another name with NAME=")
    if has_table(world):
        raise StopError(f"this account has a table called {world.table_name}: choose another name with NAME=")


def _confirm(world: World, *, yes: bool) -> None:
    journal = world.journal
    if world.is_rehearsal:
        console.print(f"rehearsing on {_place(world)}; AWS is not reached")
        return
    console.print(MADE.format(claims=len(CLAIMS), account=journal.account, region=journal.region, name=journal.name))
    if yes:
        return
    console.print("Type the account's number to continue:")
    typed = sys.stdin.readline().strip()
    if typed != journal.account:
        raise StopError(f"not confirmed: {typed!r} is not {journal.account}, nothing was done; YES=1 does not ask")


def _place(world: World) -> str:
    return f"the emulator MiniStack {version('ministack')}, a rehearsal" if world.is_rehearsal else "AWS"


def _versions(world: World) -> Mapping[str, str]:
    status, commit = world.run("git", "rev-parse", "--short", "HEAD")
    _, cdk = world.run("node_modules/.bin/cdk", "--version")
    return {
        "commit": commit.strip() if not status else "unknown",
        "CDK": f"{cdk.split()[0] if cdk.split() else 'unknown'}, library {version('aws-cdk-lib')}",
        "Python": platform.python_version(),
        "boto3": version("boto3"),
    }


def entry() -> None:
    """Run it; an error that a person can fix is one line on standard error."""
    try:
        app(standalone_mode=False)
    except CutOffError as cut_off:
        sys.exit(f"error: {cut_off}")
    except TyperException as wrong_use:
        sys.exit(f"error: {wrong_use.format_message()}")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    except Exception as error:
        from cruddur_local.errors import LocalSystemError

        text = str(error) if isinstance(error, LocalSystemError) else explained(error)
        if text is None:
            raise
        sys.exit(f"error: {text}")


if __name__ == "__main__":
    entry()
