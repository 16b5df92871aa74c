"""Leaving, joining, editing, deleting, marking: against each other at every call, in threads, with lost responses."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cruddur_messages import schema
from cruddur_messages.store import errors
from tests.access_patterns.groups import EVERYBODY, WITHOUT_BO, Action, Group
from tests.access_patterns.people import BetweenCalls
from tests.engines.fixtures import CruddurTable

RACES: list[tuple[Action, Action, list[set[str]]]] = [
    (Group.edit, Group.delete, [EVERYBODY]),
    (Group.delete, Group.edit, [EVERYBODY]),
    (Group.delete, Group.delete, [EVERYBODY]),
    (Group.leave, Group.move, [WITHOUT_BO]),
    (Group.move, Group.leave, [WITHOUT_BO]),
    (Group.leave, Group.leave, [WITHOUT_BO]),
    (Group.leave, Group.add_again, [WITHOUT_BO, EVERYBODY]),
    (Group.add_again, Group.leave, [WITHOUT_BO, EVERYBODY]),
    (Group.add, Group.add, [{*EVERYBODY, "dan"}]),
    (Group.add, Group.move, [{*EVERYBODY, "dan"}]),
    (Group.read, Group.leave, [WITHOUT_BO]),
    (Group.read, Group.read_one, [EVERYBODY]),
    (Group.read_one, Group.read, [EVERYBODY]),
]


def run(action: Action, group: Group, client: Any = None) -> None:
    with suppress(errors.NoSuchMessageError, errors.NotAMemberError):
        action(group, client)


def check_end(group: Group, actions: tuple[Action, Action], ends: list[set[str]], when: str) -> None:
    members = group.members()
    assert members in ends, when
    if Group.delete in actions:
        assert [message.message for message in group.store().get_conversation(group.uuid).items] == ["hello"], when
    if Group.read in actions and "bo" in members:
        assert group.item_of(group.bo)[schema.READ_UP_TO] == {"S": group.newest.sort_key}, when


@pytest.mark.parametrize(("action", "rival", "ends"), RACES, ids=lambda value: getattr(value, "__name__", ""))
def test_whatever_comes_between_two_calls_the_state_is_one_of_a_sequence(
    cruddur_table: CruddurTable, action: Action, rival: Action, ends: list[set[str]]
) -> None:
    was_interrupted, interrupted = True, 0
    while was_interrupted:
        group, was_interrupted = Group(cruddur_table), False

        def interrupt(number: int, _name: str, at: int = interrupted, group: Group = group) -> None:
            nonlocal was_interrupted
            if number == at:
                was_interrupted = True
                run(rival, group)

        run(action, group, BetweenCalls(cruddur_table.client, before=interrupt))
        if not was_interrupted:
            run(rival, group)
        check_end(group, (action, rival), ends, f"{rival.__name__} before call {interrupted}")
        interrupted += 1


def losing_a_response(client: Any, before_it_is_lost: Callable[[], object] = lambda: None) -> BetweenCalls:
    """A client whose first write succeeds without a response."""
    lost = iter([True])

    def lose(_number: int, name: str) -> None:
        if name in ("transact_write_items", "update_item", "delete_item") and next(lost, False):
            before_it_is_lost()
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": ""}}, name)

    return BetweenCalls(client, after=lose)


@pytest.mark.parametrize(("action", "rival", "ends"), RACES, ids=lambda value: getattr(value, "__name__", ""))
def test_in_threads_too_of_which_some_lose_a_response(
    cruddur_table: CruddurTable, action: Action, rival: Action, ends: list[set[str]]
) -> None:
    group, client = Group(cruddur_table), cruddur_table.client
    runs = [(one, how) for one in (action, rival) * 2 for how in (client, losing_a_response(client))]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: run(one[0], group, one[1]), runs))
    ends = [WITHOUT_BO, EVERYBODY] if Group.add_again in (action, rival) else ends
    check_end(group, (action, rival), ends, "in threads")


@pytest.mark.parametrize(
    ("action", "then", "end"),
    [
        (Group.leave, None, WITHOUT_BO),
        (Group.leave, Group.add_again, EVERYBODY),  # the retry of a leave must not take out who was added since
        (Group.add, None, {*EVERYBODY, "dan"}),
        # Nor must the retry of a join put back who left since.
        (Group.add, lambda group: group.store().leave(group.uuid, group.dan.uuid), EVERYBODY),
        (Group.edit, None, EVERYBODY),
        (Group.delete, None, EVERYBODY),
        (Group.read, None, EVERYBODY),
    ],
)
def test_a_lost_response_and_a_late_retry_do_it_once(
    cruddur_table: CruddurTable, action: Action, then: Callable[[Group], object] | None, end: set[str]
) -> None:
    group, happened = Group(cruddur_table), list[object]()
    client = losing_a_response(cruddur_table.client, lambda: happened.append(then and then(group)))
    action(group, client)
    assert len(happened) == 1
    assert group.members() == end
