"""The projection loses a permission: what fails, who is notified, and how it is repaired."""

import json
from collections.abc import Mapping
from typing import Any

from aws_proof.claims import DiffersError, claim
from aws_proof.world import TAG, World
from cruddur_cli.smoke.notes import Register
from cruddur_cli.smoke.place import Place
from cruddur_cli.smoke.talk import Talk, person, smoke_uuid
from cruddur_messages import schema

NEEDED = "dynamodb:PutItem"
"""Without it, no row can be moved."""

QUEUE_ALARM, FAILING_ALARM = "failure-queue", "conversations-failing"

DENY_ALL: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}],
}

NO_QUEUE = "the emulator ignores retry limits, and delivers nothing to a failure queue"
NO_ALARMS = "the emulator has no metric filters, and refuses alarms on an expression"


@claim(
    "The endpoint's policy is enforced: the projection cannot do what it denies.",
    not_on_emulator="the emulator does not enforce the policy of an endpoint",
)
def endpoint_policy(world: World) -> str:
    """The policy denies everything: a message must not arrive. The policy is restored: messages must arrive again."""
    world.set_endpoint_policy(DENY_ALL)

    def stays_out() -> str | None:
        problems = world.smoke(messages=1, limit_seconds=20).problems
        return problems[0] if problems else None

    try:
        problem = world.wait("the changed policy is in force", stays_out, minutes=5)
    finally:
        world.give_back()
    world.wait("messages arrive again", lambda: True if not world.smoke(messages=1).problems else None, minutes=10)
    return f"with everything denied: {problem}; with the policy restored, messages arrive again"


@claim("Without a permission, messages do not arrive and no row is lost.")
def messages_fail(world: World) -> str:
    """`dynamodb:PutItem` is removed from the projection's role while made-up people send messages."""
    name, document = world.role_policy()
    people = begin(world)
    world.set_role_policy(name, without(document, NEEDED))

    def is_left_out() -> bool | None:
        sent = people.send()
        world.sleep(5)
        return True if people.shown() != {sent} else None

    world.wait("the permission is removed everywhere", is_left_out, minutes=5)
    if people.rows() != [1, 1]:
        raise DiffersError(f"the two members have {people.rows()} rows")
    return "the newest message is in no inbox, and every member has one row"


@claim(
    "Batches that Lambda gives up on reach the failure queue. Lambda sends them under the projection's "
    "role: its call does not carry lambda:SourceFunctionArn, and the queue sees the role as aws:PrincipalArn.",
    not_on_emulator=NO_QUEUE,
)
def failure_queue(world: World) -> str:
    """With at most 2 retries and records of at most 120 s, the queue is watched until it has a message."""
    queue = world.outputs()["FailureQueueUrl"]
    begun = world.clock()

    def waiting() -> int | None:
        found = world.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
        return int(found["Attributes"]["ApproximateNumberOfMessages"]) or None

    count = world.wait("a failed batch reaches the queue", waiting, minutes=10)
    return f"{count} failed batches in the queue after {world.clock() - begun:.0f} s"


@claim(
    "The alarms on failing conversations and on the failure queue start.",
    not_on_emulator=NO_ALARMS,
)
def alarms_start(world: World) -> str:
    """One message a minute fails, until both alarms are in the state ALARM."""
    begun, people = world.clock(), _people(world)
    subscribe(world)

    def have_started() -> bool | None:
        people.send()
        world.sleep(60)
        return True if set(states(world).values()) == {"ALARM"} else None

    world.wait(f"{QUEUE_ALARM} and {FAILING_ALARM} start", have_started, minutes=20)
    return f"both in the state ALARM after {world.clock() - begun:.0f} s"


@claim("Subscribers of the topic receive a notification of an alarm.", not_on_emulator=NO_ALARMS)
def alarm_notice(world: World) -> str:
    """A queue is subscribed to the topic, and read until it has the alarm's notification."""
    sqs = world.client("sqs")
    url = sqs.get_queue_url(QueueName=world.notices_name)["QueueUrl"]

    def notice() -> str | None:
        for one in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MaxNumberOfMessages=10).get("Messages", []):
            body = json.loads(one["Body"])
            told = json.loads(body.get("Message", "{}")) if "Message" in body else {}
            if told.get("NewStateValue") == "ALARM":
                return str(told["AlarmName"])
        return None

    return f"notified of {world.wait('a notification arrives', notice, minutes=15)}"


@claim(
    "With the permission restored, `bin/ddb redrive` settles what failed and empties the failure queue.",
    not_on_emulator=NO_QUEUE,
)
def redrive(world: World) -> str:
    """The permission is restored, and new messages arrive. Then `redrive`, until the queue is empty, and `verify`."""
    world.give_back()
    world.wait("messages arrive again", lambda: True if not world.smoke(messages=1).problems else None, minutes=10)
    queue = world.outputs()["FailureQueueUrl"]
    removed = 0

    def is_empty() -> bool | None:
        nonlocal removed
        status, result = world.ddb("redrive", "--queue", queue, "--yes")
        if status:
            raise DiffersError(f"redrive: exit status {status}: {result}")
        removed += result.get("removed", 0)
        return True if not result.get("messages") else None

    world.wait("the queue is empty", is_empty, minutes=10)
    _require_repaired(world)
    return f"{removed} failed batches settled, the queue is empty, every inbox is right"


@claim("`bin/ddb rebuild` repairs the inboxes after a failure, without the records.")
def rebuild(world: World) -> str:
    """With the permission restored: `rebuild`, then `verify`."""
    world.give_back()
    status, result = world.ddb("rebuild", "--yes")
    if status:
        raise DiffersError(f"rebuild: exit status {status}: {result}")
    _require_repaired(world)
    _people(world).leave()
    return "every inbox is right"


@claim("Alarms return to OK when their cause is over.", not_on_emulator=NO_ALARMS)
def alarms_end(world: World) -> str:
    """The same two alarms are watched until both are in the state OK."""
    begun = world.clock()
    world.wait("both alarms end", lambda: True if set(states(world).values()) == {"OK"} else None, minutes=30)
    return f"both in the state OK after {world.clock() - begun:.0f} s"


@claim(
    "The stream keeps records for 24 hours, and no longer.",
    never='no run of hours can show it; it is in the DynamoDB Developer Guide, "Change data capture for DynamoDB '
    'Streams"',
)
def stream_keeps_a_day(_: World) -> str:
    """Not tested."""
    raise AssertionError("the runner gives the claim's reason in `never` instead of running this step")


class People:
    """Two made-up people whose conversation continues during a failure; `bin/ddb smoke` removes it after a kill."""

    def __init__(self, world: World) -> None:
        place = Place(world.client("dynamodb"), world.table_name)
        self._place = place
        self.group = smoke_uuid()
        self.members = [person(name) for name in ("Ann", "Bo")]
        self._note = Register(place).new({self.group: [one.uuid for one in self.members]})
        self._note.renew()
        self._talk = Talk(place, self.group, self.members, limit_seconds=0)

    def send(self) -> str:
        """Send a message and return its id."""
        self._talk.speak()
        self._note.renew()
        return self._talk.newest

    def shown(self) -> set[str]:
        """The ids of the messages that the inboxes show."""
        return {row["message_uuid"]["S"] for row in self._rows() if "message_uuid" in row}

    def rows(self) -> list[int]:
        """The number of rows of each member."""
        return [sum(row["pk"]["S"].endswith(one.uuid) for row in self._rows()) for one in self.members]

    def leave(self) -> None:
        """Remove the conversation and its people."""
        self._note.remove()

    def _rows(self) -> list[Any]:
        return [row for one in self.members for row in self._place.read(schema.group_row_partition(one.uuid))]


def begin(world: World) -> People:
    """A conversation whose first message has arrived; later steps use it, even if that message has not arrived."""
    people = world.notes["people"] = People(world)
    sent = people.send()
    world.wait("the first message is in both inboxes", lambda: people.shown() == {sent} or None, minutes=5)
    return people


def subscribe(world: World) -> None:
    """A queue for the notifications of the alarms."""
    sqs, topic = world.client("sqs"), world.outputs()["AlarmTopicArn"]
    name = world.notices_name
    world.journal.make("queue", name)
    url = sqs.create_queue(QueueName=name, tags={TAG: world.journal.name})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    world.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)


def states(world: World) -> dict[str, str]:
    """The states of the two alarms, by name. Raises DiffersError if one is missing."""
    names = [f"{world.system}-projection-{alarm}" for alarm in (QUEUE_ALARM, FAILING_ALARM)]
    found = world.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    known = {one["AlarmName"]: one["StateValue"] for one in found}
    if known.keys() != set(names):
        raise DiffersError(f"of the alarms {', '.join(names)}, only {', '.join(known) or 'none'} are there")
    return known


def without(document: Mapping[str, Any], action: str) -> dict[str, Any]:
    """A copy of a policy without one action."""
    statements = []
    for one in document["Statement"]:
        actions = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        kept = [other for other in actions if one["Effect"] == "Deny" or other != action]
        if kept:
            statements.append({**one, "Action": kept})
    return {**document, "Statement": statements}


def _people(world: World) -> People:
    people: People = world.notes["people"]
    return people


def _require_repaired(world: World) -> None:
    status, result = world.ddb("verify")
    if status:
        raise DiffersError(f"verify: exit status {status}: {result}")
