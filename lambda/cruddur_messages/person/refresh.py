"""A person's new name in the rows of others, which hold the name of the time when they were written.

Only attributes of rows that exist are changed, on condition that the row still is of this conversation and names the
person: the projection's move, which compares every attribute, then begins again, or has moved the row away. Messages
keep the name of their time. A row keeps its `message_uuid`, so the stream's filter drops the record; for a row
that has none yet, the record leads to a settlement.
"""

import time
from collections import Counter
from collections.abc import Callable

from cruddur_messages import schema
from cruddur_messages.items import USER_DISPLAY_NAME, USER_HANDLE, USER_UUID, GroupRow, User, key_attributes
from cruddur_messages.person.passes import Pass, Track, until_nothing_changes
from cruddur_messages.person.traces import Person


def refresh(
    person: Person,
    current: Callable[[], User | None],
    *,
    track: Track = iter,
    sleep: Callable[[float], None] = time.sleep,
) -> Counter[str]:
    """Write the name and handle that `current` returns into the rows of others; returns how many rows were changed.

    It is asked before each pass: so two at once end with the same name. Nothing is done for a person whom it does not
    know. Raises StillChangingError.
    """
    return until_nothing_changes(lambda: _pass(person, current(), track), sleep)


def _pass(person: Person, now: User | None, track: Track) -> Pass:
    made = Pass()
    if now is None:
        return made
    for group in track(person.conversations()):
        for row in person.rows_naming_them(group):
            if _differs(row, now):
                rename(made, person, row, now)
    return made


def rename(made: Pass, person: Person, row: GroupRow, now: User) -> None:
    """Make a row of another member name `now` where it names the person."""
    named = {name: value for name, value in now.to_attributes().items() if name in row.attributes}
    made.write(
        "rows_of_others",
        person.client.update_item,
        TableName=person.table_name,
        Key=key_attributes(row.key),
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in named),
        ConditionExpression=f"{schema.INDEX_PARTITION_KEY} = :group AND {USER_UUID} = :person",
        ExpressionAttributeValues={
            ":group": {"S": row.message_group_uuid},
            ":person": {"S": person.user_uuid},
            **{f":{name}": value for name, value in named.items()},
        },
    )


def _differs(row: GroupRow, now: User) -> bool:
    wanted = now.to_attributes()
    return any(row.attributes.get(name, wanted[name]) != wanted[name] for name in (USER_DISPLAY_NAME, USER_HANDLE))
