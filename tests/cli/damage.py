"""Tables as the bootcamp's own handler damages them.

It handles the first record of a batch only. For each row that the index shows, it deletes the row, then puts one with a
fixed list of attributes. Here its invocations overlap, come late, come twice, and die between any two calls.
"""

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from cruddur_messages import schema
from cruddur_messages.items import MESSAGE, USER_DISPLAY_NAME, USER_HANDLE, USER_UUID, Message, User
from cruddur_messages.store import MessageStore
from tests.access_patterns.people import person, ticking
from tests.engines.fixtures import CruddurTable

SIZES = (2, 2, 2, 3, 4)
"""How many members conversations have."""

KEPT = (USER_UUID, USER_DISPLAY_NAME, USER_HANDLE, schema.INDEX_PARTITION_KEY)


@dataclass
class Written:
    """What was written into a table, and must be shown after a repair."""

    members: dict[str, list[User]] = field(default_factory=dict)
    messages: dict[str, list[Message]] = field(default_factory=dict)


def bootcamp_invocation(table: CruddurTable, message: Message) -> Generator[None]:
    """The bootcamp's handler for one message; it pauses before each of its calls."""
    yield
    rows = table.client.query(
        TableName=table.name,
        IndexName=schema.INDEX_NAME,
        KeyConditionExpression="message_group_uuid = :group",
        ExpressionAttributeValues={":group": {"S": message.message_group_uuid}},
    )["Items"]
    for row in rows:
        yield
        key = {name: row[name] for name in (schema.PARTITION_KEY, schema.SORT_KEY)}
        table.client.delete_item(TableName=table.name, Key=key)
        yield
        table.client.put_item(
            TableName=table.name,
            Item={
                schema.PARTITION_KEY: row[schema.PARTITION_KEY],
                schema.SORT_KEY: {"S": message.sort_key},
                MESSAGE: {"S": message.message},
                **{name: row[name] for name in KEPT},
            },
        )


def write(
    table: CruddurTable,
    chance: random.Random,
    *,
    conversations: int,
    messages: int,
    sizes: Sequence[int] = SIZES,
) -> Written:
    """Write conversations; some members never write, and no handler moves the rows."""
    written = Written()
    store = MessageStore(client=table.client, table_name=table.name, clock=ticking())
    crowd = [person(f"person{number}") for number in range(conversations + 3)]
    for number in range(conversations):
        members = chance.sample(crowd, chance.choice(sizes))
        started = store.start_conversation(members, sender=members[0], message=f"first of {number}")
        group = started.message_group_uuid
        written.members.setdefault(group, members)
        sent = written.messages.setdefault(group, [])
        sent.append(started.message)
        sent += (
            store.send(group, sender=chance.choice(members), message=f"{number}: {line}")
            for line in range(chance.randrange(messages))
        )
    return written


def run_the_bootcamps_handler(table: CruddurTable, written: Written, chance: random.Random) -> None:
    """Deliver the messages to the bootcamp's handler as a stream may deliver them."""
    for messages in written.messages.values():
        delivered = [message for message in messages for _ in range(chance.choice((0, 1, 1, 2)))]
        chance.shuffle(delivered)
        invocations: list[Generator[None]] = []
        while delivered or invocations:
            if delivered and (not invocations or chance.random() < 0.3):
                invocations.append(bootcamp_invocation(table, delivered.pop()))
            invocation = chance.choice(invocations)
            has_died = chance.random() < 0.08
            if has_died or next(invocation, StopIteration) is StopIteration:
                invocations.remove(invocation)
