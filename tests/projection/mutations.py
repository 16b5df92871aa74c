"""Deliberate faults in the projection, each of which the simulation must notice.

A mutation replaces one piece of source text by another. `noticed_after` plays the stories, then generated schedules,
against the mutated source until one breaks a promise.
"""

import multiprocessing
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.projection import choices

HARD_SCHEDULES = (2_612, 3_640, 4_272, 3_003_819, 5_001_786)
"""Numbers of schedules that have shown what few others do: one in thousands, or tens of thousands."""

LAMBDA = Path(__file__).parents[2] / "lambda"


@dataclass(frozen=True)
class Mutation:
    """In a module of the library, one piece of text is replaced by another."""

    name: str
    module: str
    before: str
    after: str


def _in_transactions(name: str, before: str, after: str) -> Mutation:
    return Mutation(name, "transactions", before, after)


def _in_projection(name: str, before: str, after: str) -> Mutation:
    return Mutation(name, "settlement", before, after)


MUTATIONS = (
    # What a transaction says
    _in_transactions(
        "a delete is not conditioned",
        '"Key": _key(row.partition, row.sort_key), **_unchanged(row)',
        '"Key": _key(row.partition, row.sort_key)',
    ),
    _in_transactions("a put does not need a free key", "else _KEY_IS_FREE", "else {}"),
    _in_transactions("a put in place is not conditioned", "_unchanged(replaced) if replaced", "{} if replaced"),
    _in_transactions(
        "a row is compared by its conversation only",
        "names = [*own, *others][:MOST_COMPARED]",
        'names = ["message_group_uuid"]',
    ),
    _in_transactions("the newest message is not checked", "conditions[newest.sort_key] = _shows(newest)", "pass"),
    _in_transactions(
        "an edit of the newest message is not noticed",
        '"#uuid = :uuid AND #message = :message"',
        '"#uuid = :uuid AND NOT #message = :uuid"',
    ),
    _in_transactions(
        "a deleted message may have come back",
        "shown = {row.message_sort_key for move in moves for row in move.rows}",
        "shown: set[str] = set()",
    ),
    _in_transactions(
        "rows that need no move are not confirmed",
        '"Key": target_key, **_unchanged(move.target)',
        '"Key": target_key, "ConditionExpression": "attribute_exists(pk) OR attribute_not_exists(pk)"',
    ),
    _in_transactions("newcomers are counted without a witness", "counted[:1]], counted[1:]", "counted[:0]], counted"),
    _in_transactions("newcomers raise no count", "known += len(newcomers)", "known += 0"),
    _in_transactions(
        "later witnesses are not carried on",
        "witness = [min(together, key=_member).afterwards().with_member_count(len(moves))]",
        "witness = []",
    ),
    _in_transactions(
        "rows that lose their place are not contradicted", "contradicted=tuple(contradicted)", "contradicted=()"
    ),
    # How a row is made
    Mutation(
        "attributes are copied by a fixed list",
        "moves",
        "target.update(row.attributes)",
        'target.update({name: value for name, value in row.attributes.items() if name != "note"})',
    ),
    Mutation(
        "doubled rows are not healed",
        "moves",
        "by_member.setdefault(row.member_uuid, []).append(row)",
        "by_member[row.member_uuid] = [row]",
    ),
    Mutation(
        "of doubled rows all stay but one",
        "moves",
        "return tuple(row for row in self.rows if row.key != self.target.key)",
        "return tuple(row for row in self.rows if row.key != self.target.key)[:1]",
    ),
    Mutation(
        "the sort key is copied as it is",
        "moves",
        'target[schema.SORT_KEY] = {"S": timestamps.canonical(newest.instant)}',
        'target[schema.SORT_KEY] = {"S": newest.sort_key}',
    ),
    Mutation("a nudged row is not in place", "moves", "row.message_sort_key == newest.sort_key\n", "False\n"),
    Mutation(
        "ties are given up",
        "moves",
        "if message_instant is None or instant is None or instant - message_instant >= MAX_NUDGE:",
        "if True:",
    ),
    Mutation(
        "the message's sort key is not noted",
        "moves",
        'target[MESSAGE_SORT_KEY] = {"S": newest.sort_key if newest else ""}',
        'target[MESSAGE_SORT_KEY] = {"S": ""}',
    ),
    Mutation(
        "a count is lost in a move",
        "moves",
        "    if member_count is not None:\n        target",
        "    if False:\n        target",
    ),
    Mutation(
        "an empty conversation keeps its preview",
        "moves",
        'newest.message if newest else ""',
        'newest.message if newest else "?"',
    ),
    # Who is a member
    Mutation(
        "member counts are not heeded",
        "members",
        "expected=max((row.member_count or 0 for row in rows), default=0),",
        "expected=0,",
    ),
    Mutation(
        "anybody makes up for a missing member at once",
        "members",
        "if len(self.counted) < self.expected:",
        "if False:",
    ),
    Mutation(
        "a row that a backend puts anew stops its conversation",
        "members",
        "if len(self.seen) < self.expected:",
        "if len(self.counted) < self.expected:",
    ),
    Mutation("who names nobody stands for all", "members", "if self.is_anybody_unnamed:", "if False:"),
    _in_transactions(
        "counts that were made apart stay so",
        "if counted and max(move.target.member_count or 0 for move in counted) < len(counted):",
        "if False:",
    ),
    Mutation("a conversation without rows needs none", "members", "if not self.seen:", "if False:"),
    Mutation(
        "who is named is not looked for",
        "members",
        "named_only=named - seen,",
        "named_only=frozenset(),",
    ),
    Mutation(
        "who was shown once need not be seen again", "members", "self._new_members | self._shown", "self._new_members"
    ),
    Mutation("one look is enough", "members", "LOOKS = 6", "LOOKS = 1"),
    Mutation("contradictions are forgotten", "members", "self._contradicted += rows", "pass"),
    # How a conversation is settled
    _in_projection("there is no second attempt", "ATTEMPTS = 8", "ATTEMPTS = 1"),
    _in_projection("members are counted before all are seen", "if obstacle is None:", "if True:"),
    _in_projection(
        "who is missing is not missed",
        "return obstacles if obstacle is None else {*obstacles, obstacle}",
        "return obstacles",
    ),
    _in_projection("a throttled write counts as done", "obstacles.add(str(transient))", "pass"),
    _in_projection(
        "a row that has changed is no obstacle", 'obstacles.add("a row is no longer as it was read")', "pass"
    ),
    _in_projection(
        "a conflict is no obstacle", "(obstacles if code in TRANSIENT_CODES else refused).add(code)", "pass"
    ),
    _in_projection(
        "a failed check is no obstacle", 'obstacles.add(verdict.check or "cancelled without a reason")', "pass"
    ),
    _in_projection(
        "the deadline is not heeded", "return self._seconds_left() - pause > self._reserve_seconds", "return True"
    ),
    _in_projection("a pause may go past the deadline", "if not self._has_time_for(pause):", "if False:"),
    _in_projection(
        "running out of time counts as done",
        'settlement.failure = f"out of time: {settlement.failure}"',
        "settlement.failure = None",
    ),
    _in_projection(
        "a malformed message hides the ones before",
        '                counts["malformed_messages"] += 1\n',
        "                return None\n",
    ),
    _in_projection(
        "only the first conversation of a batch is settled",
        "return [settled[conversation.message_group_uuid] for conversation in conversations]",
        "return [self.settle(conversations[0])] + [Settlement(c.message_group_uuid) for c in conversations[1:]]",
    ),
    # The calls
    Mutation("the newest message is read from a replica", "reading", '"ConsistentRead": True,', ""),
    Mutation("the oldest message is shown", "table", "ScanIndexForward=False, ", ""),
    Mutation("only the first page is read", "reading", 'if "LastEvaluatedKey" not in page:', "if True:"),
    Mutation(
        "a transaction is made action by action",
        "table",
        "self._client.transact_write_items(TransactItems=actions)",
        "[self._client.transact_write_items(TransactItems=[action]) for action in actions]",
    ),
    # What comes in and what goes out
    Mutation(
        "only the first record is looked at",
        "records",
        "    return FoldedBatch(tuple(dirty.values())",
        "    return FoldedBatch(tuple(dirty.values())[:1]",
    ),
    Mutation(
        "a deleted message makes nothing dirty",
        "records",
        "    if partition.startswith(schema.MESSAGE_PREFIX):\n        message",
        '    if partition.startswith(schema.MESSAGE_PREFIX) and event_name != "REMOVE":\n        message',
    ),
    Mutation(
        "an edited message makes nothing dirty",
        "records",
        "    if partition.startswith(schema.MESSAGE_PREFIX):\n        message",
        '    if partition.startswith(schema.MESSAGE_PREFIX) and event_name != "MODIFY":\n        message',
    ),
    Mutation(
        "a new member makes nothing dirty",
        "records",
        "        return row.message_group_uuid, row",
        "        return None",
    ),
    Mutation("no failure is reported", "handler", "if conversation.message_group_uuid in failed", "if False"),
    Mutation(
        "the filter lets its own writes through",
        "filters",
        '"NewImage": {MESSAGE_UUID: is_absent if emulator else {"S": is_absent}},',
        "",
    ),
    Mutation(
        "the filter drops deletions",
        "filters",
        '{"dynamodb": {"Keys": _in_partitions(schema.MESSAGE_PREFIX)}},',
        '{"eventName": ["INSERT", "MODIFY"], "dynamodb": {"Keys": _in_partitions(schema.MESSAGE_PREFIX)}},',
    ),
    Mutation(
        "the filter drops new members",
        "filters",
        '"eventName": ["INSERT", "MODIFY"],',
        '"eventName": ["MODIFY"],',
    ),
)


def mutate(mutation: Mutation, directory: Path) -> Path:
    """A copy of the library with the fault in it. Raises ValueError unless the text to replace is there just once."""
    copy = directory / "lambda"
    shutil.copytree(LAMBDA, copy, ignore=shutil.ignore_patterns("__pycache__"))
    source = copy / "cruddur_messages/projection" / f"{mutation.module}.py"
    text = source.read_text()
    if text.count(mutation.before) != 1:
        raise ValueError(f"{mutation.name}: the text to replace is there {text.count(mutation.before)} times")
    source.write_text(text.replace(mutation.before, mutation.after))
    return copy


def noticed_after(library: Path, schedules: int) -> tuple[int, str] | None:
    """How many schedules it takes until a promise is broken, and which; None where all of them are kept.

    Plays them in a process of its own, which imports the library anew.
    """
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=_play, args=(library, schedules, answers))
    process.start()
    process.join()
    if process.exitcode != 0:
        return 0, f"the process ended with status {process.exitcode}"
    answer: tuple[int, str] | None = answers.get()
    return answer


def _play(library: Path, schedules: int, answers: "multiprocessing.SimpleQueue[tuple[int, str] | None]") -> None:
    for name in [name for name in sys.modules if name.startswith(("cruddur_messages", "tests.projection"))]:
        del sys.modules[name]
    sys.path.insert(0, str(library))
    from tests.projection import simulation, stories

    numbers = (*HARD_SCHEDULES, *range(schedules))
    plays: list[Callable[[], None]] = [
        *stories.STORIES,
        *(partial(_play_schedule, simulation.run, number) for number in numbers),
    ]
    for number, play in enumerate(plays, start=1):
        try:
            play()
        except Exception as fault:
            return answers.put((number, f"{type(fault).__name__}: {str(fault).splitlines()[-1]}"))
    return answers.put(None)


def _play_schedule(run: Callable[[bytes], None], number: int) -> None:
    """Play the schedule of a number; rows that backends write oddly, which hide other faults, are in every fourth."""
    schedule = random.Random(number).randbytes(choices.SIZE)  # noqa: S311
    odd_rows = choices.PARTS["rows"]
    run(schedule if number % 4 == 1 else schedule[:-odd_rows] + bytes(odd_rows))
