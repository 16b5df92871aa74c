"""The tests in an account: on the emulator, or with `make test-aws` on AWS (docs/aws-tests.md).

A test for AWS is a function in this folder, in the order of files and definitions. Its docstring is the claim. With
`@pytest.mark.only_on_aws("the emulator ...")` it is skipped on the emulator, with this reason.
"""

import os
import re
import signal
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from cruddur_cli.errors import explained
from cruddur_local.paths import AWS_TESTS
from tests.aws import removal
from tests.aws.account import TAG, Account, is_lost
from tests.aws.system import System
from tests.end_to_end.checkout import Checkout
from tests.engines.fixtures import free_port

NAME = "cruddur-aws-tests"
NAMES = re.compile(r"(?!aws|ssm)(?=.{3,24}$)[a-z](-?[a-z0-9])+")
"""One of these with `-adopted` is a value of the setting `name`."""

MADE = f"""This deploys the system into an account three times, tests claims about AWS on it, and removes it again.
  account   {{account}}
  region    {{region}}
  makes     stacks, tables, roles, queues, log groups called {{name}}-..., all with the tag {TAG}={{name}}
  costs     less than a dollar, by AWS's prices; not measured on AWS yet
  takes     between half an hour and two hours, most of it waiting; this has not been timed on AWS yet
Type the account's number to continue:"""

CLEAN_UP = "make test-aws CLEAN_UP=1 NAME={0.name} REGION={0.region}"
ACCOUNT = pytest.StashKey[Account]()
ROWS = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tests in an account")
    group.addoption("--account", choices=("aws", "emulator"), help="Run in the account of the environment.")
    group.addoption("--name", default=NAME, help="What all names of what is created begin with.")
    group.addoption("--region", help="The region; by default that of the AWS configuration.")
    group.addoption("--yes", action="store_true", help="Do not ask for confirmation.")
    group.addoption("--clean-up", action="store_true", help="Remove what a killed run has left; test nothing.")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Before anything is created: check the account and ask, or only clean up. A refusal is one line."""
    if not config.option.account:
        return None
    # A machine that cancels the run is to leave as little behind as a person who presses Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        account = config.stash[ACCOUNT] = named_account(config.option, os.environ)
        if config.option.clean_up:
            finish(account)
            return 0
        check(account)
        if not config.option.yes:
            confirm(account)
    except (BotoCoreError, ClientError, pytest.exit.Exception) as error:
        raise pytest.UsageError(explained(error) or str(error)) from error
    return None


def named_account(option: Any, environment: Mapping[str, str]) -> Account:
    """The account that the command line and the environment name."""
    if not NAMES.fullmatch(option.name):
        rule = "it takes 3 to 24 of a-z, 0-9, hyphens, and starts with neither aws nor ssm"
        raise pytest.UsageError(f"NAME is {option.name!r}; {rule}")
    redirected = sorted(key for key in environment if key.startswith("AWS_ENDPOINT_URL"))
    if redirected and option.account == "aws":
        raise pytest.UsageError(f"{redirected[0]} is set, which is not AWS: unset it; make proof tests on the emulator")
    # boto3 would take AWS_DEFAULT_REGION, which the tests set.
    configured = botocore.session.Session(profile=environment.get("AWS_PROFILE")).get_scoped_config()
    region = option.region or environment.get("AWS_REGION") or configured.get("region")
    if not region:
        raise pytest.UsageError("no AWS region is set: use REGION=..., set AWS_REGION, or run aws configure")
    return Account(option.name, region, dict(environment))


def check(account: Account) -> None:
    """Refuse an account without bootstrap stack, and one in which a name is taken."""
    if not removal.is_there(lambda: account.client("cloudformation").describe_stacks(StackName="CDKToolkit")):
        command = f"npx cdk bootstrap aws://{account.number}/{account.region}"
        raise pytest.UsageError(f"{account.region} of this account has no CDK bootstrap stack: run {command}")
    for one in removal.find(account):
        advice = f"{CLEAN_UP.format(account)} removes it" if one.is_ours else "choose another name with NAME="
        raise pytest.UsageError(f"this account has a {one.kind} called {one.id}: {advice}")


def confirm(account: Account) -> None:
    """Say what will be done, and ask once."""
    print(MADE.format(account=account.number, region=account.region, name=account.name), flush=True)  # noqa: T201
    typed = sys.stdin.readline().strip()
    if typed != account.number:
        raise pytest.UsageError(f"not confirmed: {typed!r} is not {account.number}, nothing was done; YES=1 skips this")


def finish(account: Account) -> None:
    """Remove everything that was created; if that fails, one line has the reason and the command for it."""
    try:
        removal.remove_all(account)
    except (KeyboardInterrupt, Exception) as error:
        reason = (explained(error) if isinstance(error, Exception) else None) or " ".join(repr(error).split())
        pytest.exit(
            f"what was created still exists ({reason}): remove it with {CLEAN_UP.format(account)}", returncode=1
        )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and skip on the emulator what only AWS can show."""
    for item in items:
        if item.nodeid.startswith("tests/aws/"):
            item.add_marker(pytest.mark.aws)
            only = item.get_closest_marker("only_on_aws")
            if only and config.option.account != "aws":
                item.add_marker(pytest.mark.skip(reason=only.args[0]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """When credentials are missing or have expired, the run ends, with one line."""
    report = yield
    if call.excinfo and isinstance(error := call.excinfo.value, Exception) and is_lost(error):
        report.longrepr = explained(error)
        item.session.shouldstop = report.longrepr or ""
    if item.config.option.account:
        _write_page(item, report)
    return report


def _write_page(item: pytest.Function, report: pytest.TestReport) -> None:
    """Write the page again with each result, so that a killed run leaves it too."""
    if report.when != "call" and report.passed:
        return
    account, rows = item.config.stash[ACCOUNT], item.config.stash.setdefault(ROWS, {})
    claim = " ".join((item.obj.__doc__ or "").split())
    rows[item.name] = f"| {item.name} | {claim} | {report.outcome} | {report.duration:.0f} |"
    place = f"{'the emulator' if account.is_emulator else 'AWS'}, account ...{account.number[-4:]}, {account.region}"
    head = [f"# Claims, tested on {place}", "", "| test | claim | outcome | seconds |", "|---|---|---|---|"]
    page = AWS_TESTS / f"{account.name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join([*head, *rows.values(), ""]))


@pytest.fixture(scope="session")
def account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The account of the command line; without one, an emulator. At the end, everything that was created is removed."""
    with ExitStack() as ending:
        found = request.config.stash.get(ACCOUNT, None) or emulated(tmp_path_factory.mktemp("account"), ending)
        ending.callback(finish, found)
        yield found


def emulated(folder: Path, ending: ExitStack) -> Account:
    """The account of an emulator that enforces IAM, with the CDK's bootstrap stack."""
    checkout = Checkout.make(folder)
    ending.callback(checkout.make_target, "down")
    checkout.make_target("up", f"PORT={free_port()}", "SETTINGS=seed=false")
    return checkout.account(NAME)


@pytest.fixture(scope="session")
def dev(account: Account) -> System:
    """The system with the settings of dev; on the emulator, which runs no other, of local."""
    return _deployed(account, "local" if account.is_emulator else "dev")


@pytest.fixture(scope="session")
def prod(account: Account) -> System:
    """The system with the settings of prod."""
    return _deployed(account, "prod")


def _deployed(account: Account, stage: str) -> System:
    system = System(account, account.name, stage, f"{account.name}-{stage}")
    system.deploy()
    return system
