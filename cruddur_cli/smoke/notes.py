"""The notes of runs, by which each run is removed.

A run first notes its ids in an item under `schema.SMOKE_PARTITION`, and renews that item while it runs: the next run
recognises a dead one by an unchanged note, and removes what it has left.
"""

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cruddur_cli.smoke.talk import Place, smoke_uuid
from cruddur_messages import schema, timestamps
from cruddur_messages.items import Key, key_attributes, key_of, text_or_empty

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

BEAT = "beat"
TALKS = "talks"
BEAT_SECONDS = 2.0
SILENCE_SECONDS = 3 * BEAT_SECONDS
"""A run is dead if its note is unchanged for this long."""

QUIET_SECONDS = 1.0
QUIET_LOOKS = 2
"""How many checks in a row must find nothing before a run counts as removed, since a settlement may be late."""

MOST_LOOKS = 60
DELETIONS_AT_ONCE = 8


@dataclass
class Note:
    """The conversations of a run, and the people of each."""

    place: Place
    key: str
    talks: dict[str, list[str]]
    beat: str = ""
    _renewed: float = -math.inf

    def renew(self) -> None:
        """Renew the note, so that other runs see that this one is alive."""
        if time.monotonic() - self._renewed < BEAT_SECONDS:
            return
        self._renewed = time.monotonic()
        self.beat = timestamps.now()
        item: dict[str, AttributeValueTypeDef] = {
            schema.PARTITION_KEY: {"S": schema.SMOKE_PARTITION},
            schema.SORT_KEY: {"S": self.key},
            BEAT: {"S": self.beat},
            TALKS: {"M": {group: {"L": [{"S": one} for one in people]} for group, people in self.talks.items()}},
        }
        self.place.client.put_item(TableName=self.place.table_name, Item=item)

    def remove(self, *, is_settled: bool) -> None:
        """Delete what the run has written until nothing more appears, and then the note.

        Unless the projection has settled all of it: a late one writes again, and then the next run needs the note.
        """
        quiet = 0
        for _ in range(MOST_LOOKS):
            quiet = 0 if self._delete_all() else quiet + 1
            if quiet == QUIET_LOOKS:
                break
            if not self.place.settle:
                time.sleep(QUIET_SECONDS)
            self.renew()
        if is_settled and quiet == QUIET_LOOKS:
            self._delete((schema.SMOKE_PARTITION, self.key))

    def _delete_all(self) -> int:
        with ThreadPoolExecutor(DELETIONS_AT_ONCE) as pool:
            found = [key for keys in pool.map(self._keys, self._partitions()) for key in keys]
            for _ in pool.map(self._delete, found):
                pass
        return len(found)

    def _partitions(self) -> Iterator[str]:
        for group, people in self.talks.items():
            yield schema.message_partition(group)
            yield from map(schema.group_row_partition, people)
            yield from map(schema.member_partition, people)
            yield schema.pair_partition(people[0], people[1])
            yield schema.CONVERSATION_PREFIX + group

    def _keys(self, partition: str) -> list[Key]:
        return [key_of(item) for item in self.place.read(partition)]

    def _delete(self, key: Key) -> None:
        self.place.client.delete_item(TableName=self.place.table_name, Key=key_attributes(key))


def begin(place: Place, talks: dict[str, list[str]]) -> Note:
    """Write the note of a run that starts."""
    note = Note(place, f"{timestamps.now()} {smoke_uuid()}", talks)
    note.renew()
    return note


def read_notes(place: Place) -> list[Note]:
    """The notes of running and of dead runs, without the conversations that name anybody who is not made up."""
    found: list[Note] = []
    for item in place.read(schema.SMOKE_PARTITION):
        talks = {group: [one["S"] for one in people["L"]] for group, people in item[TALKS]["M"].items()}
        for group, people in [*talks.items()]:
            if not all(one.startswith(schema.SMOKE_UUID_PREFIX) for one in (group, *people)):
                del talks[group]
        found.append(Note(place, text_or_empty(item, schema.SORT_KEY), talks, text_or_empty(item, BEAT)))
    return found


def remove_dead(place: Place, earlier: Sequence[Note], since: float, *, is_settled: bool) -> None:
    """Remove the runs whose notes are unchanged; `since` is the monotonic time at which `earlier` was read."""
    if not earlier:
        return
    time.sleep(max(0.0, SILENCE_SECONDS - (time.monotonic() - since)))
    now = {note.key: note for note in read_notes(place)}
    for note in earlier:
        if note.key in now and now[note.key].beat == note.beat:
            note.remove(is_settled=is_settled)
