"""Generated tables: conversations in order, some of their items removed, and damage of every kind added."""

from typing import Any

from hypothesis import strategies as st

from cruddur_messages import schema
from cruddur_messages.conversation_item import fingerprint
from cruddur_messages.items import AttributeMap, Message

USERS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(5)]
GROUPS = [f"{number:08x}-1111-4000-8000-000000000000" for number in range(4)]
TIMES = [
    f"2026-05-0{day}{time}"
    for day in (1, 2)
    for time in ("T10:00:00.000000+00:00", "T10:00:00.000001+00:00", "T10:00:00", "T12:00:00+02:00", " 10:00:00.5")
]
TIMES += ["2026-05-01T10:00:29Z", "2026-05-01T10:00:29.017Z", "sometime", "0001-01-01T00:00:00+14:00"]

_groups = st.sampled_from([GROUPS[0]] * 4 + [GROUPS[1], f"@{GROUPS[0]}", ""])
_users = st.sampled_from([*USERS, "@ann", ""])
_times = st.sampled_from(TIMES)
_texts = st.sampled_from([{"S": "hi"}, {"S": ""}, {"S": "grüß Gott"}, {"N": "1"}, {"NULL": True}])


def _item(partition: st.SearchStrategy[str], sort_key: st.SearchStrategy[str], **optional: Any) -> Any:
    keys = {"pk": partition.map(lambda text: {"S": text}), "sk": sort_key.map(lambda text: {"S": text})}
    return st.fixed_dictionaries(keys, optional=optional)


def _string(values: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return values.map(lambda text: {"S": text})


_no_text = st.sampled_from([{"N": "1"}, {"NULL": True}])
_uuids = _string(st.sampled_from(["m1", "m2"])) | _no_text
_people = _string(_users) | _no_text
_marks = st.sampled_from([{"BOOL": True}, {"BOOL": False}, {"S": "x"}])
_places = st.dictionaries(
    _times, st.one_of(st.lists(_users, min_size=1, unique=True).map(lambda uuids: {"SS": uuids}), st.just({"N": "1"}))
)
_damage: Any = st.one_of(
    _item(_groups.map("MSG#{}".format), _times, message=_texts, message_uuid=_uuids, user_uuid=_people),
    _item(
        _users.map("GRP#{}".format),
        _times,
        message_group_uuid=_string(_groups),
        message=_texts,
        message_uuid=_uuids,
        user_uuid=_people,
        is_group=_marks,
    ),
    _item(
        st.tuples(_users, _users).map(lambda two: schema.pair_partition(*two)),
        st.just("PAIR"),
        latest_message_group_uuid=_string(_groups) | _no_text,
    ),
    _item(_users.map("MEMBER#{}".format), _groups, joined_at=_string(_times), left_at=_string(_times)),
    _item(
        _groups.map("CONV#{}".format),
        st.sampled_from(["CONV", "CONV", "other"]),
        rows=_places.map(lambda rows: {"M": rows}) | _no_text,
        shown=_string(st.sampled_from(["none", "x"])),
        version=st.sampled_from([{"S": "v"}, {"N": "5"}]),
    ),
    _item(st.just("OTHER#1"), _times),
)


def conversation(group: str, members: list[str], sort_keys: list[str]) -> list[AttributeMap]:
    """The items of a settled conversation; the first two members are its pair."""
    messages: list[dict[str, Any]] = [
        {"pk": {"S": f"MSG#{group}"}, "sk": {"S": sort_key}, "message": {"S": f"at {sort_key}"}}
        | {"message_uuid": {"S": f"uuid {sort_key}"}, "user_uuid": {"S": members[number % len(members)]}}
        for number, sort_key in enumerate(sort_keys)
    ]
    newest = messages[-1]
    shown = {name: newest[name] for name in ("sk", "message", "message_uuid")}
    group_row: dict[str, Any] = {"message_group_uuid": {"S": group}}
    group_row |= {"is_group": {"BOOL": True}} if len(members) > 2 else {}
    rows: list[dict[str, Any]] = [
        {**shown, **group_row, "pk": {"S": f"GRP#{member}"}, "user_uuid": {"S": members[(number + 1) % len(members)]}}
        for number, member in enumerate(members)
    ]
    pair: dict[str, Any] = {"pk": {"S": schema.pair_partition(*members[:2])}, "sk": {"S": "PAIR"}}
    item: dict[str, Any] = {
        "pk": {"S": f"CONV#{group}"},
        "sk": {"S": "CONV"},
        "version": {"S": "v"},
        "rows": {"M": {sort_keys[-1]: {"SS": members}}},
        "shown": {"S": fingerprint(Message.from_attributes(newest))},
    }
    return [*messages, *rows, item, {**pair, "latest_message_group_uuid": {"S": group}}]


_keys = st.lists(st.sampled_from(TIMES[:2] + TIMES[5:7]), min_size=1, max_size=4, unique=True).map(sorted)
_conversations = st.lists(
    st.tuples(st.lists(st.sampled_from(USERS), min_size=2, max_size=4, unique=True), _keys), max_size=len(GROUPS)
)

_changes = st.fixed_dictionaries({}, optional={"message": _texts, "message_uuid": _uuids, "shown": _uuids})


@st.composite
def tables(draw: st.DrawFn) -> list[AttributeMap]:
    """The items of a table in any order; two may have one key, as two reads of a table that changes have."""
    right = [
        item
        for group, (members, keys) in zip(GROUPS, draw(_conversations), strict=False)
        for item in conversation(group, members, keys)
    ]
    lost = draw(st.sets(st.integers(0, max(len(right) - 1, 0)), max_size=3))
    items = [item for number, item in enumerate(right) if number not in lost] + draw(st.lists(_damage, max_size=8))
    again = draw(st.lists(st.sampled_from(items), max_size=2)) if items else []
    changed = [{**item, **draw(_changes)} for item in again]
    return draw(st.permutations([*items, *changed]))
