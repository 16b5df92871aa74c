"""IAM as the emulator enforces it: the deployed function under its role, with an action removed and restored.

The emulator's own event source mapping ignores batchItemFailures, so the records are delivered by a poller that follows
AWS's rules: it reads the emulator's stream and invokes the deployed function, which runs with its role's credentials.
"""

import json
import uuid
from collections import deque
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cruddur_local.waiting import wait_until
from cruddur_messages import schema
from cruddur_messages.items import User
from cruddur_messages.projection import filters as stream_filters
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import items_in
from tests.end_to_end.checkout import Checkout
from tests.end_to_end.inboxes import broken_promises
from tests.engines.fixtures import free_port
from tests.policies.mutants import without
from tests.policies.scenarios import bootcamp_backend
from tests.projection.event_source_mapping import Lane, sequence_number
from tests.projection.poller import Poller

FUNCTION = "cruddur-messages-local-projection"
ROLE = f"{FUNCTION}-us-east-1"
TABLE_POLICY = "table"

ANN, BO, CY = (User(str(uuid.uuid4()), name, name.lower()) for name in ("Ann", "Bo", "Cy"))


class System:
    """The system that `make up` runs, from a copy of the repository."""

    def __init__(self, checkout: Checkout) -> None:
        self._connection = checkout.account()
        self.client = self._connection.client
        self.dynamodb = self.client("dynamodb")
        self.store = MessageStore(client=self.dynamodb, table_name=schema.TABLE_NAME)

    def as_user_with(self, policy_arn: str) -> Any:
        """A DynamoDB client of a user with one policy."""
        iam = self.client("iam")
        name = f"backend-{uuid.uuid4()}"
        iam.create_user(UserName=name)
        iam.attach_user_policy(UserName=name, PolicyArn=policy_arn)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        variables = self._connection.environment
        session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=variables["AWS_REGION"])
        return session.client("dynamodb", endpoint_url=variables["AWS_ENDPOINT_URL"], verify=variables["AWS_CA_BUNDLE"])

    def conversations(self) -> list[Any]:
        """Every message and every group row."""
        of_backends = (schema.MESSAGE_PREFIX, schema.GROUP_ROW_PREFIX)
        return [item for item in items_in(self.dynamodb) if item["pk"]["S"].startswith(of_backends)]

    def forget(self, message_group_uuid: str) -> None:
        """Delete the conversation item, as if the projection had never settled the conversation."""
        key = {
            "pk": {"S": schema.conversation_partition(message_group_uuid)},
            "sk": {"S": schema.CONVERSATION_SORT_KEY},
        }
        self.dynamodb.delete_item(TableName=schema.TABLE_NAME, Key=key)

    def await_projection(self) -> None:
        """Wait until every member's row shows the newest message."""
        wait_until(lambda: not broken_promises(self.conversations()))
        assert broken_promises(self.conversations()) == []

    def role_policy(self) -> dict[str, Any]:
        """What the function's role may do with the table."""
        found = self.client("iam").get_role_policy(RoleName=ROLE, PolicyName=TABLE_POLICY)["PolicyDocument"]
        return dict(found if isinstance(found, dict) else json.loads(found))

    def set_role_policy(self, document: dict[str, Any]) -> None:
        self.client("iam").put_role_policy(RoleName=ROLE, PolicyName=TABLE_POLICY, PolicyDocument=json.dumps(document))

    def stop_own_mapping(self) -> None:
        """Disable the emulator's mapping: from now on only the test delivers records."""
        (mapping,) = self.client("lambda").list_event_source_mappings(FunctionName=FUNCTION)["EventSourceMappings"]
        self.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

    def records(self) -> list[Any]:
        """All records of the stream that pass the filters, in Lambda's form."""
        streams = self.client("dynamodbstreams")
        (stream,) = streams.list_streams(TableName=schema.TABLE_NAME)["Streams"]
        followed = {"streams": streams, "stream_arn": stream["StreamArn"], "patterns": stream_filters.patterns()}
        poller = Poller(**followed, lanes=[Lane()], batch_size=1)
        while poller.poll():
            pass
        return poller.records

    def deliver(self, lane: Lane) -> None:
        """Deliver until nothing is left, with the retry limits of the settings."""
        for _ in range(10):
            batch = lane.next_batch(10)
            if batch is None:
                break
            lane.report(self.invoke(list(batch.records)))
        assert not lane.has_work
        assert not lane.dropped

    def failures(self) -> list[str]:
        """The reasons that the function has logged for conversations that were not settled."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{FUNCTION}")
        lines = [line for page in pages for event in page["events"] for line in event["message"].splitlines()]
        logged = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry["failure"] for entry in logged if entry["event"] == "conversation_failed"]

    def await_failures(self, count: int) -> list[str]:
        """Wait until this many are logged."""
        wait_until(lambda: len(self.failures()) >= count)
        found = self.failures()
        assert len(found) >= count
        return found

    def invoke(self, records: list[Any]) -> dict[str, Any]:
        """Invoke the deployed function with a batch."""
        answer = self.client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps({"Records": records}))
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return dict(payload)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    checkout = Checkout.make(tmp_path_factory.mktemp("checkout"))
    try:
        checkout.make_target("up", f"PORT={free_port()}", "SETTINGS=seed=false")
        yield System(checkout)
    finally:
        checkout.make_target("down")


@pytest.fixture(scope="module")
def system_without_mapping(system: System) -> System:
    """The same system, after its own event source mapping has settled everything and is disabled."""
    system.await_projection()
    system.stop_own_mapping()
    return system


def test_the_backend_works_under_its_policy_and_other_calls_are_denied(system: System) -> None:
    policies = system.client("iam").list_policies(Scope="Local")["Policies"]
    (arn,) = [policy["Arn"] for policy in policies if "cruddur-messages-local-Backend" in policy["PolicyName"]]
    dynamodb = system.as_user_with(arn)
    store = MessageStore(client=dynamodb, table_name=schema.TABLE_NAME)
    of_two = store.start_conversation((BO, CY), sender=BO, message="hello")
    assert (
        store.start_conversation((CY, BO), sender=CY, message="again").message_group_uuid == of_two.message_group_uuid
    )
    of_three = store.start_conversation((ANN, BO, CY), sender=ANN, message="hello all")
    store.send(of_three.message_group_uuid, sender=CY, message="hello Ann", check_member=True)
    sent = store.send(of_three.message_group_uuid, sender=ANN, message="hello all")
    store.leave(of_three.message_group_uuid, BO.uuid)
    store.add_member(of_three.message_group_uuid, BO, asked_by=CY.uuid)
    store.mark_read(of_three.message_group_uuid, BO.uuid, up_to=sent.sort_key)
    assert store.unread(BO.uuid, store.list_conversations(BO.uuid).items)[of_three.message_group_uuid] == 0
    named: Any = {"message_uuid": sent.message_uuid}
    store.edit(of_three.message_group_uuid, sent.sort_key, **named, editor=ANN.uuid, message="hello everybody")
    store.delete(of_three.message_group_uuid, sent.sort_key, **named, by=ANN.uuid)
    assert store.list_conversations(CY.uuid).items
    bootcamp_backend(dynamodb, schema.TABLE_NAME)
    # Which items may be read, updated and deleted depends on LeadingKeys, which the emulator does not evaluate.
    for denied in (dynamodb.scan, dynamodb.describe_table, dynamodb.delete_table):
        with pytest.raises(ClientError, match="AccessDenied"):
            denied(TableName=schema.TABLE_NAME)
    system.await_projection()


@pytest.mark.parametrize(
    ("sid", "action"),
    [
        ("LockConversation", "dynamodb:GetItem"),
        ("MoveGroupRows", "dynamodb:PutItem"),
        pytest.param("LockConversation", "dynamodb:UpdateItem", marks=pytest.mark.proof),
        pytest.param("ReadNewestMessage", "dynamodb:Query", marks=pytest.mark.proof),
        pytest.param("ReadGroupRows", "dynamodb:BatchGetItem", marks=pytest.mark.proof),
        pytest.param("FindGroupRows", "dynamodb:Query", marks=pytest.mark.proof),
        pytest.param("MoveGroupRows", "dynamodb:DeleteItem", marks=pytest.mark.proof),
    ],
)
def test_without_an_action_the_write_is_denied_nothing_is_lost_and_it_settles_when_restored(
    sid: str, action: str, system_without_mapping: System
) -> None:
    system = system_without_mapping
    complete = system.role_policy()
    seen = len(system.records())
    started = system.store.start_conversation((ANN, BO, CY), sender=ANN, message="first")
    system.deliver(Lane(waiting=deque(system.records()[seen:])))
    before, seen, told = system.conversations(), len(system.records()), len(system.failures())
    assert broken_promises(before, started.message_group_uuid) == []
    if sid == "FindGroupRows":
        system.forget(started.message_group_uuid)
    system.set_role_policy(without(complete, action, sid))
    try:
        sent = system.store.send(started.message_group_uuid, sender=BO, message="second")
        lane = Lane(waiting=deque(system.records()[seen:]))
        for _ in range(3):
            batch = lane.next_batch(10)
            assert batch is not None
            answer = system.invoke(list(batch.records))
            reported = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
            assert reported == [sequence_number(record) for record in batch.records]
            lane.report(answer)
        assert "refused: AccessDeniedException" in system.await_failures(told + 3)[told:]
        after = system.conversations()
        assert [item for item in after if item not in before] == [sent.to_attributes()]
        assert [item for item in before if item not in after] == []
        assert lane.dropped == []
    finally:
        system.set_role_policy(complete)
    system.deliver(lane)
    assert broken_promises(system.conversations(), started.message_group_uuid) == []
