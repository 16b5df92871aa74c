"""The projection loses a permission: what fails, who is notified, and how it is repaired."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from uuid import uuid4

import pytest

from cruddur_cli.smoke.talk import person
from cruddur_messages.store import MessageStore
from tests.aws.account import TAG
from tests.aws.system import System, policy
from tests.policies.mutants import without

ALARMS = ("failure-queue", "conversations-failing")

no_failure_queue = pytest.mark.only_on_aws("the emulator ignores retry limits, and delivers nothing to a failure queue")
no_alarms = pytest.mark.only_on_aws("the emulator has no metric filters, and refuses alarms on an expression")


class Failure:
    """Two made-up people write while the projection lacks a permission; `restore` ends that."""

    def __init__(self, system: System, restoring: ExitStack) -> None:
        self._system, self._store = system, MessageStore(client=system.place.client, table_name=system.table_name)
        self._members = [person(name) for name in ("Ann", "Bo")]
        self._newest = self._store.start_conversation(self._members, sender=self._members[0], message="first").message
        self.send()
        system.account.within(5, "the first messages are in both inboxes", self.has_arrived)
        iam, (names, document) = system.account.client("iam"), system.role_policy()
        self.restore = partial(iam.put_role_policy, **names, PolicyDocument=json.dumps(document))
        restoring.callback(self.restore)
        # Without it, no row can be moved.
        iam.put_role_policy(**names, PolicyDocument=json.dumps(without(document, "dynamodb:PutItem")))
        system.account.within(5, "the permission is gone", lambda: self.send() and self.refusals())

    def send(self) -> str:
        """Send a message and return its text, which is its own."""
        group, text = self._newest.message_group_uuid, str(uuid4())
        self._newest = self._store.send(group, sender=self._members[0], message=text)
        return text

    def has_arrived(self) -> bool:
        """Whether every inbox shows the newest message, and no other."""
        return self.inboxes() == [[self._newest.message]] * len(self._members)

    def inboxes(self) -> list[list[str]]:
        """What the rows of each member show."""
        inboxes = (self._store.list_conversations(one.uuid).items for one in self._members)
        return [[row.message for row in inbox] for inbox in inboxes]

    def refusals(self) -> int:
        """How many failures the projection has logged."""
        group = self._system.outputs()["LogGroupName"]
        asked = {"logGroupName": group, "filterPattern": "conversation_failed"}
        return len(self._system.account.pages("logs", "filter_log_events", "events", **asked))


@pytest.fixture(scope="module")
def failure(dev: System) -> Iterator[Failure]:
    """The failure, from the first test that needs it until `restore`, or the end of this file."""
    with ExitStack() as restoring:
        yield Failure(dev, restoring)


@pytest.fixture(scope="module")
def notices(dev: System) -> str:
    """A queue that gets the notifications of the alarms, until everything is removed."""
    sqs, sns, topic = dev.account.client("sqs"), dev.account.client("sns"), dev.outputs()["AlarmTopicArn"]
    url = str(sqs.create_queue(QueueName=f"{dev.stack}-notices", tags={TAG: dev.account.name})["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    allow |= {"Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(allow)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def test_messages_fail_and_no_row_is_lost(dev: System, failure: Failure) -> None:
    """Without a permission, messages do not arrive and no row is lost."""
    before = failure.refusals()
    failure.send()
    dev.account.within(5, "the projection is refused again", lambda: failure.refusals() > before)
    assert not failure.has_arrived()
    assert [len(rows) for rows in failure.inboxes()] == [1, 1]


def test_rebuild(dev: System, failure: Failure) -> None:
    """`bin/ddb rebuild` repairs the inboxes during a failure, without the records."""
    assert not failure.has_arrived()
    dev.ddb("rebuild", "--yes")
    assert failure.has_arrived()
    dev.ddb("verify")


@no_failure_queue
def test_failure_queue(dev: System, failure: Failure) -> None:
    """Lambda sends given-up batches to the queue: as aws:PrincipalArn the role, without lambda:SourceFunctionArn."""
    failure.send()
    dev.account.within(10, "a failed batch reaches the queue", lambda: in_queue(dev))


@no_alarms
@pytest.mark.usefixtures("notices")
def test_alarms_start(dev: System, failure: Failure) -> None:
    """The alarms on failing conversations and on the failure queue start."""
    dev.account.within(20, "both alarms start", lambda: failure.send() and are(dev, "ALARM", *ALARMS))


@no_alarms
def test_alarm_notice(dev: System, failure: Failure, notices: str) -> None:
    """Subscribers of the topic receive a notification of an alarm."""
    sqs = dev.account.client("sqs")

    def notice() -> bool:
        found = sqs.receive_message(QueueUrl=notices, WaitTimeSeconds=10, MaxNumberOfMessages=10).get("Messages", [])
        told = [json.loads(json.loads(one["Body"]).get("Message", "{}")) for one in found]
        return any(one.get("NewStateValue") == "ALARM" for one in told)

    dev.account.within(15, "a notification arrives", lambda: failure.send() and notice())


@no_failure_queue
def test_redrive(dev: System, failure: Failure) -> None:
    """With the permission restored, `bin/ddb redrive` settles what failed and empties the failure queue."""
    queue = dev.outputs()["FailureQueueUrl"]
    failure.restore()

    def is_settled() -> bool:
        dev.ddb("redrive", "--queue", queue, "--yes")
        return not in_queue(dev) and failure.has_arrived()

    dev.account.within(15, "the queue is empty and every inbox is right", is_settled)
    dev.ddb("verify")


@no_alarms
def test_alarms_end(dev: System, failure: Failure) -> None:
    """Alarms return to OK when their cause is over."""
    failure.restore()
    dev.account.within(30, "both alarms end", lambda: are(dev, "OK", *ALARMS))


@no_alarms
def test_canary_alarm(dev: System) -> None:
    """The canary's alarm starts while the mapping is disabled, although nobody writes, and ends afterwards."""
    dev.account.within(30, "the canary runs", lambda: are(dev, "OK", "canary"))
    try:
        dev.enable_mapping(enabled=False)
        dev.account.within(30, "its alarm starts", lambda: are(dev, "ALARM", "canary"))
    finally:
        dev.enable_mapping(enabled=True)
    dev.account.within(30, "its alarm ends", lambda: are(dev, "OK", "canary"))


def in_queue(system: System) -> int:
    """The number of messages in the failure queue, with those that are being read."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = system.outputs()["FailureQueueUrl"]
    found = system.account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def are(system: System, state: str, *alarms: str) -> bool:
    """Whether all of these alarms have a state."""
    names = [f"{system.stack}-projection-{alarm}" for alarm in alarms]
    found = system.account.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNames=names)
    return [one["StateValue"] for one in found] == [state] * len(alarms)
