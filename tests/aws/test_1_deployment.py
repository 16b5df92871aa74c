"""The system with the settings of dev is deployed from nothing, works, and changes while people write."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from cruddur_cli.smoke import runs
from cruddur_cli.smoke.report import Report
from tests.aws.system import System

CHANGES = ({"batch_size": "50"}, {"memory_mb": "1024"}, {"vpc_cidr": "10.87.0.0/24"})


def test_deploys(dev: System) -> None:
    """The stacks deploy for the first time, and Lambda reads the stream."""
    assert dev.stacks() == [dev.stack, f"{dev.stack}-table"]
    dev.account.within(5, "the mapping is enabled", lambda: dev.mapping()["State"] == "Enabled")


def test_smoke_passes(dev: System) -> None:
    """Every message reaches every inbox, once, in order."""
    dev.require_smoke(messages=20)


def test_canary(dev: System) -> None:
    """The canary's message reaches both inboxes, with no other permissions than its own."""
    invoke = dev.account.client("lambda").invoke
    # The first run starts the conversation, the second finds it and deletes the first message.
    for _ in range(2):
        assert "FunctionError" not in invoke(FunctionName=f"{dev.stack}-canary")


@pytest.mark.only_on_aws("the emulator needs no permission to read the stream, and creates no network interface")
def test_source_function_arn(dev: System) -> None:
    """Lambda's own calls for stream and network do not carry lambda:SourceFunctionArn: the Deny does not apply."""
    assert any(one["Effect"] == "Deny" for one in dev.role_policy("projection")[1]["Statement"])
    assert dev.function()["State"] == "Active"
    assert dev.mapping()["LastProcessingResult"] == "OK"


def test_settings_change_under_load(dev: System) -> None:
    """A change of batch size, memory or vpc_cidr replaces nothing that lasts, and meanwhile no message is lost."""
    # A session, unlike a client, is for one thread at a time.
    before, stopped, place = lasting(dev), Event(), dev.place
    reports, settings = list[Report](), dict[str, str]()

    def write() -> None:
        while not stopped.is_set():
            reports.append(runs.talk(place, messages=10, limit_seconds=900.0))

    # After Ctrl-C, it ends with an error when its table is deleted.
    writing = ThreadPoolExecutor(1).submit(write)
    try:
        for change in CHANGES:
            settings |= change
            dev.deploy(**settings)
            assert lasting(dev) == before, change
    finally:
        stopped.set()
    writing.result()
    assert [problem for report in reports for problem in report.problems] == []
    assert any(report.delays for report in reports)
    assert (dev.mapping()["BatchSize"], dev.function()["MemorySize"]) == (50, 1024)
    vpcs = dev.account.client("ec2").describe_vpcs(VpcIds=dev.account.physical_ids(dev.stack, "AWS::EC2::VPC"))["Vpcs"]
    assert [vpc["CidrBlock"] for vpc in vpcs] == [CHANGES[-1]["vpc_cidr"]]


def lasting(system: System) -> tuple[str, ...]:
    """The ids of table, stream, mapping, function and failure queue."""
    table, mapping, function = system.table(), system.mapping()["UUID"], system.function()["FunctionArn"]
    times = str(table["CreationDateTime"]), table["LatestStreamArn"]
    return (table["TableArn"], *times, mapping, function, system.outputs()["FailureQueueUrl"])
