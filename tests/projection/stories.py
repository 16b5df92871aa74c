"""Schedules told by hand: interleavings so narrow that generated ones rarely meet them.

Each raises ViolationError where the projection lets it end badly. The mutations are played against these first.
"""

from collections.abc import Callable, Mapping
from itertools import islice

from cruddur_messages import dynamodb
from tests.projection.event_source_mapping import CRASHED
from tests.projection.invocations import FaultyClient, Invocation, ViolationError, connect
from tests.projection.memory_engine import Item, Key, MemoryEngine, Version


def a_deleted_message_comes_back() -> None:
    """An invocation has seen it gone, stands still while it comes back and is shown, and goes on."""
    engine = engine_with_rows()
    first, second = message(1), message(2)
    for item in (first, second):
        engine.put_item(Item=item)
    settle(engine)
    engine.delete_item(Key=key(second))
    late = invoke(engine, "REMOVE", second)
    to_its_transaction(late)
    engine.put_item(Item=second)
    settle(engine)
    finish(late)
    expect(engine, second)


def a_message_is_deleted_that_is_about_to_be_shown() -> None:
    """An invocation has seen it, stands still while it is deleted and nothing is left to do, and goes on."""
    engine = engine_with_rows()
    first, second = message(1), message(2)
    engine.put_item(Item=first)
    settle(engine)
    engine.put_item(Item=second)
    late = invoke(engine, "INSERT", second)
    to_its_transaction(late)
    engine.delete_item(Key=key(second))
    settle(engine)
    finish(late)
    expect(engine, first)


def the_index_shows_how_it_was_before_a_deleted_message() -> None:
    """Nothing seems to be left to do, for the index has slept through the life of the message."""
    engine = engine_with_rows()
    first, second = message(1), message(2)
    engine.put_item(Item=first)
    settle(engine)
    begin = len(engine.changes)
    engine.put_item(Item=second)
    settle(engine)
    engine.delete_item(Key=key(second))
    hide(engine, since=begin, reads=4)
    settle(engine)
    expect(engine, first)


def the_members_counted_last_are_not_in_the_index() -> None:
    """There are more members than one transaction counts, and those who had been counted before look like all."""
    engine = engine_with_rows("abcde", max_actions=8)
    engine.put_item(Item=message(1))
    settle(engine)
    check_with_hidden(engine, "cd", message(2))


def who_joined_last_is_not_in_the_index() -> None:
    """Those who were there before look like all, unless one of them remembers the newcomer."""
    engine = engine_with_rows()
    engine.put_item(Item=message(1))
    settle(engine)
    join(engine, "c")
    settle(engine)
    check_with_hidden(engine, "c", message(2))


def a_newcomer_does_not_stand_in_for_who_is_not_in_the_index() -> None:
    """As many are seen as have been counted, but not the same."""
    engine = engine_with_rows("abc")
    engine.put_item(Item=message(1))
    settle(engine)
    join(engine, "d")
    check_with_hidden(engine, "c", message(2))


def who_names_nobody_is_not_alone() -> None:
    """Two rows that name nobody, of which the index shows one."""
    engine = engine_with_rows("")
    for member in "ab":
        join(engine, member, names="")
    check_with_hidden(engine, "b", message(1))


def members_were_counted_apart() -> None:
    """Two pairs that name each other, and that the index shows one after the other; later it shows all, then one."""
    engine = engine_with_rows("")
    for member, other in ("ab", "ba", "cd", "dc"):
        join(engine, member, names=other)
    engine.put_item(Item=message(1))
    for hidden in ("cd", "ab"):
        hide(engine, partitions=tuple(f"GRP#{member}" for member in hidden), reads=1)
        settle(engine)
    settle(engine)
    check_with_hidden(engine, "cd", message(2))


def who_is_named_is_looked_for() -> None:
    """Two who name each other, of whom the index shows one."""
    engine = engine_with_rows()
    check_with_hidden(engine, "b", message(1))


def who_was_shown_once_is_a_member() -> None:
    """The index shows a newcomer's row as it was, and then not at all; whoever had been counted was alone."""
    engine = engine_with_rows("")
    join(engine, "a", names="")
    engine.put_item(Item=message(1))
    settle(engine)
    join(engine, "b")
    (newcomer,) = (item for (partition, _), item in engine.items.items() if partition == "GRP#b")
    for note in ("one", "two"):
        engine.put_item(Item={**newcomer, **strings(note=note)})
    second = message(2)
    engine.put_item(Item=second)
    backs = iter((1, 3, 3, 3))
    engine.lag = lambda versions: {own: back for back in islice(backs, 1) for own in versions if own[0] == "GRP#b"}
    settle(engine)
    expect(engine, second)


STORIES: tuple[Callable[[], None], ...] = (
    a_deleted_message_comes_back,
    a_message_is_deleted_that_is_about_to_be_shown,
    the_index_shows_how_it_was_before_a_deleted_message,
    the_members_counted_last_are_not_in_the_index,
    who_joined_last_is_not_in_the_index,
    a_newcomer_does_not_stand_in_for_who_is_not_in_the_index,
    who_names_nobody_is_not_alone,
    members_were_counted_apart,
    who_is_named_is_looked_for,
    who_was_shown_once_is_a_member,
)


def engine_with_rows(members: str = "ab", max_actions: int = dynamodb.MAX_ACTIONS) -> MemoryEngine:
    """People who have not written to each other yet; all name the first, who names the last."""
    engine = MemoryEngine()
    connect(FaultyClient(engine, lambda: "", lambda _: 0), max_actions=max_actions)
    for number, member in enumerate(members):
        join(engine, member, names=members[0] if number else members[-1])
    return engine


def join(engine: MemoryEngine, member: str, *, names: str = "a") -> None:
    """A backend puts a member's row."""
    row = strings(pk=f"GRP#{member}", sk="2026-01-01T00:00:00", message_group_uuid="g", user_uuid=names)
    engine.put_item(Item=row)


def hide(engine: MemoryEngine, *, since: int = 0, partitions: tuple[str, ...] = (), reads: int) -> None:
    """For so many reads the index shows nothing that has changed since, of some partitions or of all."""
    left = iter(range(reads))

    def lag(versions: Mapping[Key, list[Version]]) -> dict[Key, int]:
        if next(left, None) is None:
            return {}
        return {
            own: sum(number >= since for number, _ in known)
            for own, known in versions.items()
            if not partitions or own[0] in partitions
        }

    engine.lag = lag


def check_with_hidden(engine: MemoryEngine, members: str, sent: Item) -> None:
    """A message is sent and shown everywhere, although the index does not show some members at first."""
    engine.put_item(Item=sent)
    hide(engine, partitions=tuple(f"GRP#{member}" for member in members), reads=4)
    settle(engine)
    expect(engine, sent)


def message(second: int) -> Item:
    """A message of the conversation."""
    return strings(pk="MSG#g", sk=f"2026-01-01T00:00:0{second}", message=f"text {second}", message_uuid=f"m{second}")


def invoke(engine: MemoryEngine, event_name: str, item: Item) -> Invocation:
    """Begin to handle a record of a message."""
    change = {"Keys": key(item), "SequenceNumber": str(len(engine.changes))}
    return Invocation([{"eventName": event_name, "dynamodb": change}], available=60.0)


def settle(engine: MemoryEngine) -> None:
    """Handle a record of the conversation from beginning to end."""
    finish(invoke(engine, "INSERT", message(1)))


def to_its_transaction(invocation: Invocation) -> None:
    """Let an invocation do its two reads."""
    for _ in range(2):
        invocation.step(invocation.threads[0])


def finish(invocation: Invocation) -> None:
    """Let an invocation run to its end."""
    while invocation.threads:
        invocation.step(invocation.threads[0])
    if invocation.answer is CRASHED or invocation.answer["batchItemFailures"]:
        raise ViolationError("it cannot be settled")


def expect(engine: MemoryEngine, shown: Item) -> None:
    """Each member has one row, and it shows this message."""
    rows = [item for (partition, _), item in engine.items.items() if partition.startswith("GRP#")]
    if len({row["pk"]["S"] for row in rows}) != len(rows) or len(rows) < 2:
        raise ViolationError("a member has not one row")
    for row in rows:
        if (row["message"], row["message_uuid"]) != (shown["message"], shown["message_uuid"]):
            raise ViolationError(f"{row['message']['S']} is shown instead of {shown['message']['S']}")


def key(item: Item) -> Item:
    """The key of an item."""
    return {name: item[name] for name in ("pk", "sk")}


def strings(**values: str) -> Item:
    """An item of strings."""
    return {name: {"S": value} for name, value in values.items()}
