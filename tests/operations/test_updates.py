"""Every change of a setting is one `cdk deploy --all`, also while messages are written."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cruddur_messages import schema
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import person
from tests.end_to_end.checkout import Checkout, Connection
from tests.end_to_end.inboxes import await_exact
from tests.engines.fixtures import free_port

STACK = "cruddur-messages-local"
FUNCTION = f"{STACK}-projection"
ALARM = f"{FUNCTION}-inboxes-behind"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout.make(tmp_path_factory.mktemp("checkout"))
    try:
        made.make_target("up", f"PORT={free_port()}", "SETTINGS=seed=false")
        yield made
    finally:
        made.make_target("down")


class Writers:
    """Threads that each send messages to a conversation of their own until they are stopped."""

    def __init__(self, connection: Connection) -> None:
        self.written = 0
        self._store = MessageStore(client=connection.client("dynamodb"), table_name=schema.TABLE_NAME)
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._write)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Send messages during the block; raise their errors at the end."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        try:
            people = [person(name) for name in ("ann", "bo", "cy")]
            groups = [
                self._store.start_conversation(members, sender=members[0], message="first").message_group_uuid
                for members in (people, people[:2], people[1:])
            ]
            while not self._stop.wait(0.05):
                self.written += 1
                self._store.send(groups[self.written % 3], sender=people[1], message=f"message {self.written}")
        except Exception as error:
            self._error = error


def network(connection: Connection) -> tuple[set[str], bool]:
    """The CIDR blocks of the VPCs with a subnet of the stack, and whether its endpoint is in one of them.

    The emulator does not show a function's subnets; the template shows that they are the stack's own.
    """
    ec2 = connection.client("ec2")
    found = connection.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    ids = {
        kind: {one["PhysicalResourceId"] for one in found if one["ResourceType"] == f"AWS::EC2::{kind}"}
        for kind in ("Subnet", "VPCEndpoint")
    }
    subnets = [one for one in ec2.describe_subnets()["Subnets"] if one["SubnetId"] in ids["Subnet"]]
    endpoints = [
        one for one in ec2.describe_vpc_endpoints()["VpcEndpoints"] if one["VpcEndpointId"] in ids["VPCEndpoint"]
    ]
    blocks = {vpc["VpcId"]: vpc["CidrBlock"] for vpc in ec2.describe_vpcs()["Vpcs"]}
    in_vpcs = {one["VpcId"] for one in subnets}
    return {blocks[vpc] for vpc in in_vpcs}, {one["VpcId"] for one in endpoints} == in_vpcs


def memory(connection: Connection) -> int:
    return int(connection.client("lambda").get_function_configuration(FunctionName=FUNCTION)["MemorySize"])


def batch_size(connection: Connection) -> int:
    (mapping,) = connection.client("lambda").list_event_source_mappings(FunctionName=FUNCTION)["EventSourceMappings"]
    return int(mapping["BatchSize"])


def threshold(connection: Connection) -> float:
    (alarm,) = connection.client("cloudwatch").describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
    return float(alarm["Threshold"])


@pytest.mark.proof
@pytest.mark.parametrize(
    ("setting", "deployed", "expected"),
    [
        ("vpc_cidr=10.99.0.0/24", network, ({"10.99.0.0/24"}, True)),
        ("batch_size=7", batch_size, 7),
        ("memory_mb=640", memory, 640),
        ("alarm_age_seconds=77", threshold, 77_000.0),
    ],
)
def test_a_changed_setting_is_deployed_and_no_inbox_is_wrong_afterwards(
    setting: str, deployed: Callable[[Connection], Any], expected: object, checkout: Checkout
) -> None:
    connection = checkout.connection()
    assert deployed(connection) != expected
    writers = Writers(connection)
    with writers.at_work():
        checkout.cdk("deploy", "--all", "--require-approval", "never", "--context", "seed=false", "--context", setting)
    assert writers.written > 0
    assert deployed(connection) == expected
    assert await_exact(connection.client("dynamodb"))
