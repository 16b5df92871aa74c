"""The runs of the smoke test: one conversation, or many that hold a load."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event

from cruddur_cli.smoke import notes
from cruddur_cli.smoke.report import LoadReport, Report, joined
from cruddur_cli.smoke.talk import NAMES, PAUSE_SECONDS, Place, Talk, person, smoke_uuid
from cruddur_messages.items import User

MOST_TALKS = 64


def talk(
    place: Place, *, messages: int, limit_seconds: float, on_delivered: Callable[[], None] = lambda: None
) -> Report:
    """Run one conversation: each message reaches all inboxes before the next; one more person joins half-way.

    Raises what DynamoDB raises. All writes are removed in any case; the next run removes what is left or comes late.
    """
    with _run(place, 1, limit_seconds, members=3) as ((conversation,), beat):
        for number in range(messages):
            conversation.speak()
            while not conversation.is_quiet:
                beat()
                conversation.look()
                time.sleep(PAUSE_SECONDS)
            if conversation.report.problems:
                return conversation.report
            on_delivered()
            if number + 1 == math.ceil(messages / 2):
                conversation.join()
        conversation.check_order()
        return conversation.report


def hold(
    place: Place,
    *,
    rate: float,
    seconds: float,
    limit_seconds: float,
    on_held: Callable[[LoadReport], None] = lambda _: None,
) -> list[LoadReport]:
    """Hold loads in conversations of two for some seconds each: an eighth of the rate, then twice as much each time.

    Stops at the first rate with a problem.
    """
    found: list[LoadReport] = []
    count = max(1, min(MOST_TALKS, math.ceil(rate / 2)))
    with _run(place, count, limit_seconds, members=2) as (talks, beat):
        for step in (8, 4, 2, 1):
            stopped = Event()
            begun = time.monotonic()
            with ThreadPoolExecutor(count) as pool:
                ends = begun + seconds
                working = [pool.submit(_hold, one, count * step / rate, ends, stopped) for one in talks]
                try:
                    while wait(working, timeout=notes.BEAT_SECONDS).not_done:
                        beat()
                finally:
                    stopped.set()
            sent = sum(one.result() for one in working)
            for one in talks:
                one.check_order()
            report = joined(one.report for one in talks)
            found.append(LoadReport(rate / step, sent / seconds, report))
            on_held(found[-1])
            if report.problems:
                break
            for one in talks:
                one.report = Report()
    return found


def _hold(conversation: Talk, interval: float, ends: float, stopped: Event) -> int:
    """Send at intervals, check the inboxes meanwhile, and return how many messages were sent."""
    sent = 0
    due = time.monotonic()
    while not stopped.is_set() and not conversation.report.problems:
        now = time.monotonic()
        if now < ends and now >= due:
            conversation.speak()
            sent += 1
            due += interval
        elif now >= ends and conversation.is_quiet:
            break
        else:
            conversation.look()
            stopped.wait(PAUSE_SECONDS)
    return sent


@contextmanager
def _run(
    place: Place, count: int, limit_seconds: float, *, members: int
) -> Iterator[tuple[list[Talk], Callable[[], None]]]:
    """Yield new conversations and a function that renews this run's note; then remove this run and dead ones."""
    earlier = notes.read_notes(place)
    begun = time.monotonic()
    crowds: dict[str, list[User]] = {smoke_uuid(): [person(name) for name in NAMES] for _ in range(count)}
    ids = {group: [one.uuid for one in people] for group, people in crowds.items()}
    talks = [Talk(place, group, people, limit_seconds=limit_seconds, first=members) for group, people in crowds.items()]
    own = notes.begin(place, ids)
    try:
        yield talks, own.renew
    finally:
        is_settled = all(one.has_arrived and not one.report.problems for one in talks)
        own.remove(is_settled=is_settled)
        notes.remove_dead(place, earlier, begun, is_settled=is_settled)
