"""What people do with their conversations: time, API calls and write units of the library's calls."""

import time
import uuid
from collections.abc import Callable, Iterator

from cruddur_messages.items import User
from cruddur_messages.store import MessageStore
from tools.bench.conversations import TABLE, TEXT
from tools.bench.metering import CALLS, WRITE_UNITS, Cost, metered

ROUNDS = 50
ON_A_PAGE = 20


def costs(endpoint: str) -> Iterator[tuple[str, Cost]]:
    """The cost of each call; the last two, an inbox without and with unread counts, are called alternately."""
    client, counts = metered(endpoint)
    store = MessageStore(client=client, table_name=TABLE)

    def cost(call: Callable[[], object]) -> Cost:
        counts.clear()
        started = time.perf_counter()
        call()
        return Cost(1000 * (time.perf_counter() - started), counts[CALLS], counts[WRITE_UNITS])

    people = [User(str(uuid.uuid4()), "Ann Example", "ann") for _ in range(1 + ON_A_PAGE)]
    reader, others = people[0], people[1:]
    group = store.start_conversation(people[:10], sender=reader, message=TEXT).message_group_uuid
    # The first call connects.
    cost(lambda: store.require_member(group, reader.uuid))
    yield "the check of membership", cost(lambda: store.require_member(group, reader.uuid))
    yield "a message", cost(lambda: store.send(group, sender=reader, message=TEXT))
    yield "a leave from a group of ten", cost(lambda: store.leave(group, people[1].uuid))
    yield (
        "a join of a group of nine",
        cost(lambda: store.add_member(group, people[1])),
    )
    for other in others:
        started = store.start_conversation((reader, other), sender=other, message=TEXT)
        store.mark_read(started.message_group_uuid, reader.uuid, up_to=started.message.sort_key)
    newer = store.send(started.message_group_uuid, sender=other, message=TEXT).sort_key
    yield "a read mark", cost(lambda: store.mark_read(started.message_group_uuid, reader.uuid, up_to=newer))

    def inbox() -> None:
        store.list_conversations(reader.uuid, limit=ON_A_PAGE)

    def inbox_with_unread() -> None:
        if any(store.unread(reader.uuid, store.list_conversations(reader.uuid, limit=ON_A_PAGE).items).values()):
            raise RuntimeError("everything was marked as read")

    rounds = [(cost(inbox), cost(inbox_with_unread)) for _ in range(ROUNDS)]
    # Other programs can only lengthen a time.
    alone, counted = map(min, zip(*rounds, strict=True))
    yield f"an inbox of {ON_A_PAGE}", alone
    ratio = counted.milliseconds / alone.milliseconds
    yield f"the same with unread counts, in {ratio:.2f} times the time", counted
