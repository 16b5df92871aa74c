"""The handler in plain cases, on the engine in memory: what it settles, what it reports, what it leaves alone."""

import itertools
import json
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from cruddur_messages import schema
from cruddur_messages.dynamodb import MAX_ACTIONS
from cruddur_messages.items import GroupRow, Message
from cruddur_messages.projection import handler as stream_handler
from cruddur_messages.projection.moves import MAX_ITEM_BYTES, MAX_ROWS, item_size, plan
from cruddur_messages.projection.records import DirtyConversation, fold
from cruddur_messages.projection.settlement import Projection
from cruddur_messages.projection.transactions import pack_and_count
from tests.projection.invocations import SLOWEST_CALL_SECONDS
from tests.projection.memory_engine import Item, MemoryEngine

pytestmark = pytest.mark.check

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

GROUP = "g"
BEFORE = "2026-01-01T00:00:00.000000+00:00"
SENT = "2026-01-02T03:04:05.678901+00:00"
_numbers = itertools.count(1)


class Client:
    """The engine as the handler sees it: counts the calls, refuses what it is told to, and shows no hidden rows."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.calls: list[str] = []
        self.refusal: str | None = None

    def query(self, **arguments: Any) -> Any:
        self.calls.append("index" if "IndexName" in arguments else "messages")
        return self.engine.query(**arguments)

    def transact_write_items(self, **arguments: Any) -> Any:
        self.calls.append("transaction")
        if self.refusal:
            raise ClientError({"Error": {"Code": self.refusal, "Message": ""}}, "TransactWriteItems")
        return self.engine.transact_write_items(**arguments)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """A table for the handler, where no pause takes time."""
    client = Client(MemoryEngine())
    monkeypatch.setattr(stream_handler, "Projection", partial(Projection, sleep=lambda _seconds: None))
    monkeypatch.setenv(schema.TABLE_NAME_VARIABLE, "cruddur-messages")
    monkeypatch.setattr(stream_handler, "_dynamodb", client)
    return client


class Context:
    """Lambda's context, of an invocation that has some seconds left."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


def strings(**values: str) -> Item:
    return {name: {"S": value} for name, value in values.items()}


def row(member: str, other: str = "", sort_key: str = BEFORE, group: str = GROUP, **more: Any) -> Item:
    return {
        **strings(pk=f"GRP#{member}", sk=sort_key, message_group_uuid=group, message="old", user_uuid=other),
        **more,
    }


def message(sort_key: str = SENT, text: str = "new", group: str = GROUP) -> Item:
    return strings(pk=f"MSG#{group}", sk=sort_key, message=text, message_uuid=f"m-{sort_key}", user_uuid="a")


def record(item: Item, event_name: str = "INSERT") -> dict[str, Any]:
    keys = {name: item[name] for name in ("pk", "sk") if name in item}
    return {
        "eventName": event_name,
        "dynamodb": {"Keys": keys, "NewImage": item, "SequenceNumber": str(next(_numbers))},
    }


def put(client: Client, *items: Item) -> list[dict[str, Any]]:
    """Put items, and answer their records."""
    for item in items:
        client.engine.put_item(Item=item)
    return [record(item) for item in items]


def handle(records: list[Any], context: Any = None) -> list[str]:
    """The sequence numbers that the handler reports."""
    answer = stream_handler.handler({"Records": records}, context)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def rows_of(client: Client) -> dict[str, Item]:
    rows = [item for (partition, _), item in client.engine.items.items() if partition.startswith("GRP#")]
    by_member = {item["pk"]["S"].removeprefix("GRP#"): item for item in rows}
    assert len(by_member) == len(rows)
    return by_member


def test_a_lone_message_between_two_takes_three_calls(client: Client) -> None:
    put(client, row("a", "b"), row("b", "a"))
    assert handle(put(client, message())) == []
    assert client.calls == ["index", "messages", "transaction"]
    for shown in rows_of(client).values():
        assert (shown["sk"], shown["message"]) == ({"S": SENT}, {"S": "new"})


def test_a_burst_costs_what_one_message_costs(client: Client) -> None:
    put(client, row("a", "b"), row("b", "a"))
    assert handle(put(client, *(message(f"2026-01-02T00:00:00.{n:06}+00:00") for n in range(1, 101)))) == []
    assert client.calls == ["index", "messages", "transaction"]


def test_a_second_delivery_writes_nothing(client: Client) -> None:
    records = put(client, row("a", "b"), row("b", "a"), message())
    handle(records)
    changes = len(client.engine.changes)
    assert handle(records) == []
    assert len(client.engine.changes) == changes


def test_other_attributes_of_any_type_stay(client: Client) -> None:
    more: Item = {
        "pinned": {"BOOL": True},
        "tags": {"SS": ["x", "y"]},
        "deep": {"M": {"l": {"L": [{"N": "1"}, {"NULL": True}]}}},
    }
    handle(put(client, row("a", **more), message()))
    assert {name: rows_of(client)["a"][name] for name in more} == more


def test_binary_data_in_an_event_is_base64(client: Client) -> None:
    put(
        client,
        row("a", blob={"B": b"\x00\xff"}, blobs={"BS": [b"1"]}, deep={"L": [{"M": {"b": {"B": b"2"}}}]}),
        message(),
    )
    image = row("a", blob={"B": "AP8="}, blobs={"BS": ["MQ=="]}, deep={"L": [{"M": {"b": {"B": "Mg=="}}}]})
    client.engine.lag = lambda versions: dict.fromkeys(versions, 10)
    assert handle([record(image)]) == []
    assert rows_of(client)["a"]["message"] == {"S": "new"}


def test_a_new_row_is_settled_though_the_index_never_shows_it(client: Client) -> None:
    handle(put(client, row("a", "b"), row("b", "a"), message()))
    client.engine.lag = lambda versions: {key: 10 for key in versions if key[0] == "GRP#c"}
    assert handle(put(client, row("c", "a"))) == []
    assert rows_of(client)["c"]["message"] == {"S": "new"}


def test_a_missing_member_is_reported_and_the_others_are_moved(client: Client) -> None:
    handle(put(client, row("a", "b"), row("b", "a"), message()))
    client.engine.lag = lambda versions: {key: 10 for key in versions if key[0] == "GRP#b"}
    records = put(client, message("2026-01-03T00:00:00+00:00", "newer"))
    assert handle(records) == [records[0]["dynamodb"]["SequenceNumber"]]
    assert rows_of(client)["a"]["message"] == {"S": "newer"}


def test_a_conversation_without_members_is_reported_and_the_others_are_settled(client: Client) -> None:
    orphan, *others = put(client, message(group="orphan"), row("a"), message())
    assert handle([orphan, *others]) == [orphan["dynamodb"]["SequenceNumber"]]
    assert rows_of(client)["a"]["message"] == {"S": "new"}


def test_two_conversations_of_equal_time_both_stay(client: Client) -> None:
    groups = ("g1", "g2", "g3")
    rows = [row("a", group=group, sort_key=f"{number}") for number, group in enumerate(groups)]
    handle(put(client, *rows, *(message(group=group) for group in groups)))
    places = sorted(sk for pk, sk in client.engine.items if pk == "GRP#a")
    assert places == [SENT, SENT.replace("901+", "902+"), SENT.replace("901+", "903+")]


@pytest.mark.parametrize(
    ("sort_key", "place"),
    [
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05.000000+00:00"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05.000000+00:00"),
        ("2026-01-02T03:04:05.5+02:00", "2026-01-02T01:04:05.500000+00:00"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000+00:00"),
        ("2026-01-02", "2026-01-02T00:00:00.000000+00:00"),
    ],
)
def test_a_time_of_any_form_is_written_in_one(client: Client, sort_key: str, place: str) -> None:
    handle(put(client, row("a", sort_key="no time at all"), message(sort_key)))
    assert rows_of(client)["a"]["sk"] == {"S": place}


def test_doubled_rows_become_one_with_the_attributes_of_all(client: Client) -> None:
    handle(
        put(client, row("a", left={"S": "l"}), row("a", sort_key="2026-01-01T01:00:00", right={"S": "r"}), message())
    )
    assert rows_of(client)["a"].items() >= {"left": {"S": "l"}, "right": {"S": "r"}, "message": {"S": "new"}}.items()


def test_more_doubled_rows_than_one_transaction_takes_are_healed_in_turns(client: Client) -> None:
    doubled = [row("a", "b", sort_key=f"2026-01-01T00:00:{second:02}") for second in range(MAX_ROWS + 20)]
    assert handle(put(client, *doubled, row("b", "a"), message())) == []
    assert rows_of(client)["a"]["message"] == {"S": "new"}


DAYS = [f"2026-01-{day:02}T00:00:00.000000+00:00" for day in range(2, 6)]


def shown(client: Client) -> dict[str, str]:
    return {member: item["message"]["S"] for member, item in rows_of(client).items()}


def test_a_counted_row_that_a_backend_puts_anew_is_taken_up_again(client: Client) -> None:
    handle(put(client, row("a", "b"), row("b", "a"), message(DAYS[0])))
    again = row("b", "a", sort_key=DAYS[0])
    put(client, again)
    assert handle([record(again, "MODIFY")]) == []
    assert handle(put(client, message(DAYS[1], "later"))) == []
    assert shown(client) == {"a": "later", "b": "later"}


def test_a_member_who_went_and_comes_back_is_one_again(client: Client) -> None:
    handle(put(client, row("a", "b"), row("b", "a"), row("c", "a"), message(DAYS[0])))
    client.engine.delete_item(Key={name: rows_of(client)["c"][name] for name in ("pk", "sk")})
    assert handle(put(client, row("c", "a"))) == []
    assert handle(put(client, message(DAYS[1], "later"))) == []
    assert shown(client) == {"a": "later", "b": "later", "c": "later"}


def test_a_newcomer_whose_row_cannot_be_written_keeps_nobody_else_back(client: Client) -> None:
    handle(put(client, row("a", "b"), row("b", "a"), message(DAYS[0])))
    full = row("c", "a", note={"S": "n" * (MAX_ITEM_BYTES - 160)})
    assert handle(put(client, full)) != []
    assert handle(put(client, message(DAYS[1], "later"))) != []
    assert shown(client) == {"a": "later", "b": "later", "c": "old"}


@pytest.mark.parametrize(
    "rows",
    [
        [row("a"), row("b")],
        [row("a", "a"), row("b", "b")],
        [row("a", "b"), row("b", "a"), row("c", "d"), row("d", "c")],
    ],
    ids=["who name nobody", "who name themselves", "in pairs"],
)
def test_members_counted_apart_are_counted_together_once_all_are_seen(client: Client, rows: list[Item]) -> None:
    records = put(client, *rows)
    half = len(records) // 2
    for own, others in ((records[:half], rows[half:]), (records[half:], rows[:half])):
        hidden = {item["pk"]["S"] for item in others}
        reads = iter([True])
        client.engine.lag = lambda versions, hidden=hidden, reads=reads: (  # type: ignore[misc]
            {key: 10 for key in versions if key[0] in hidden} if next(reads, False) else {}
        )
        handle(own)
    client.engine.lag = lambda _versions: {}
    assert handle(put(client, message(DAYS[0]))) == []
    assert {int(item["member_count"]["N"]) for item in rows_of(client).values()} >= {len(rows)}


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59.999999+00:00", "9999-12-31T23:59:59.999500+00:00"])
def test_messages_at_the_end_of_time_harm_no_other_conversation(client: Client, moment: str) -> None:
    for group in ("one", "two"):
        put(client, row("a", "b", sort_key=f"2026-01-01T{group}", group=group), row("b", "a", BEFORE + group, group))
    pinned = put(client, message(moment, group="one"), message(moment, group="two"))
    good = put(client, row("x", "y", group="good"), row("y", "x", group="good"), message(group="good"))
    reported = handle([*pinned, *good])
    assert not {one["dynamodb"]["SequenceNumber"] for one in good} & set(reported)


def test_data_that_nobody_has_thought_of_fails_its_own_conversation_only(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    beyond = row("a", "b", group="odd", member_count={"N": "9" * 5000})
    odd = put(client, beyond, message(group="odd"))
    good = put(client, row("x", "y"), row("y", "x"), message())
    assert set(handle([*odd, *good])) == {one["dynamodb"]["SequenceNumber"] for one in odd}
    assert '"failure":"unexpected ValueError at items.py:' in capsys.readouterr().out


def test_a_row_with_a_message_uuid_of_another_type_is_a_backends(client: Client) -> None:
    put(client, message())
    assert handle(put(client, row("a", "b", message_uuid={"NULL": True}), row("b", "a"))) == []
    assert shown(client) == {"a": "new", "b": "new"}


@pytest.mark.parametrize("seconds", [20.0, 21.0, 28.0, 60.0])
def test_no_call_is_begun_that_could_outlast_the_invocation(client: Client, seconds: float) -> None:
    """Every call takes as long as one that is not answered; the last must end before Lambda does."""
    now = [0.0]

    def slow(**_arguments: Any) -> Any:
        now[0] += SLOWEST_CALL_SECONDS
        raise ReadTimeoutError(endpoint_url="")

    client.query = slow  # type: ignore[method-assign]
    projection = Projection(
        client=cast("DynamoDBClient", client),
        table_name="t",
        seconds_left=lambda: seconds - now[0],
        reserve_seconds=stream_handler.reserve_of(seconds),
        sleep=lambda pause: now.__setitem__(0, now[0] + pause),
    )
    assert projection.settle(DirtyConversation(GROUP)).failure is not None
    assert now[0] < seconds


def test_deleting_brings_back_the_one_before_and_then_an_empty_preview(client: Client) -> None:
    older, newer = message("2026-01-02T00:00:00.000000+00:00", "older"), message()
    handle(put(client, row("a"), older, newer))
    for item, place, text in ((newer, older["sk"]["S"], "older"), (older, older["sk"]["S"], "")):
        client.engine.delete_item(Key={name: item[name] for name in ("pk", "sk")})
        assert handle([record(item, "REMOVE")]) == []
        assert (rows_of(client)["a"]["sk"], rows_of(client)["a"]["message"]) == ({"S": place}, {"S": text})


@pytest.mark.parametrize("members", [1, 2, 3, 49, 50, 51, 100, 333, 1000])
def test_a_conversation_of_any_size_is_settled(client: Client, members: int) -> None:
    users = [f"u{number}" for number in range(members)]
    records = put(client, *(row(user, users[0] if number else users[-1]) for number, user in enumerate(users)))
    for sort_key in (SENT, "2026-01-03T00:00:00+00:00"):
        (sent,) = put(client, message(sort_key, sort_key))
        assert handle([sent]) == []
        assert {shown["message"]["S"] for shown in rows_of(client).values()} == {sort_key}
    changes = len(client.engine.changes)
    assert handle(records) == []
    assert len(client.engine.changes) == changes
    assert len(rows_of(client)) == members


def test_members_beyond_one_transaction_are_counted_with_one_witness() -> None:
    newest = Message.from_attributes(message())
    rows = [GroupRow.from_attributes(row(f"u{number:04}", "u0000")) for number in range(1000)]
    transactions = list(pack_and_count(plan(rows, newest), newest, MAX_ACTIONS))
    known: set[str] = set()
    for transaction in transactions:
        assert len(transaction.actions("")) <= MAX_ACTIONS
        members = {move.target.member_uuid for move in transaction.moves}
        assert not known or members & known
        known |= members
        assert {move.target.member_count for move in transaction.moves} == {len(known)}
    assert len(known) == len(rows)


def test_a_message_too_long_for_a_row_is_cut_where_a_character_ends(client: Client) -> None:
    text = "ä" * (200 * 1024 - 200)
    records = put(client, row("a", note={"S": "n" * 1000}), message(text=text))
    assert handle(records) == []
    shown = rows_of(client)["a"]
    assert text.startswith(shown["message"]["S"])
    assert MAX_ITEM_BYTES - 200 < item_size(shown) <= MAX_ITEM_BYTES
    changes = len(client.engine.changes)
    handle(records)
    assert len(client.engine.changes) == changes


@pytest.mark.parametrize(
    "malformed",
    [
        {"message": None},
        {"message": {"N": "1"}},
        {"message_uuid": None},
        {"sk": {"S": "zzz"}},
        {"message": {"NULL": True}},
    ],
    ids=["no text", "text of another type", "no uuid", "no time", "null"],
)
def test_a_malformed_message_is_passed_over(client: Client, malformed: Item) -> None:
    odd = {**message("2026-01-09T00:00:00+00:00"), **malformed}
    odd = {name: value for name, value in odd.items() if value is not None}
    assert handle(put(client, row("a"), message(), odd)) == []
    assert rows_of(client)["a"]["message"] == {"S": "new"}


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "text",
        {},
        {"dynamodb": None},
        {"dynamodb": {"Keys": {"pk": {"N": "1"}}}},
        {"eventName": "INSERT", "dynamodb": {"Keys": strings(pk="USR#1", sk="1"), "SequenceNumber": "1"}},
        {"eventName": "INSERT", "dynamodb": {"Keys": strings(pk="MSG#", sk="1"), "SequenceNumber": "1"}},
        {"eventName": "INSERT", "dynamodb": {"Keys": strings(pk="GRP#a", sk="1"), "SequenceNumber": "1"}},
        {"eventName": "REMOVE", "dynamodb": {"Keys": strings(pk="GRP#a", sk="1"), "SequenceNumber": "1"}},
        {"eventName": "?", "dynamodb": {"Keys": strings(pk="GRP#", sk="1"), "NewImage": strings(pk="GRP#")}},
        {"eventName": "INSERT", "dynamodb": {"Keys": strings(pk="GRP#b", sk="1"), "NewImage": {"x": {"B": "ä"}}}},
        {"dynamodb": {"Keys": strings(pk="MSG#g", sk="1"), "ApproximateCreationDateTime": 10**400}},
    ],
)
def test_an_odd_record_stops_no_other(client: Client, odd: Any) -> None:
    assert handle([odd, *put(client, row("a"), message()), odd]) == []
    assert rows_of(client)["a"]["message"] == {"S": "new"}


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": []}, {"Records": "text"}])
def test_an_event_without_records_is_a_success(client: Client, event: dict[str, object]) -> None:
    assert stream_handler.handler(event) == {"batchItemFailures": []}
    assert client.calls == []


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_without_time_everything_is_reported_and_nothing_is_begun(client: Client, seconds: float) -> None:
    records = put(client, row("a"), message(), message(group="h"))
    assert handle(records, Context(seconds)) == [one["dynamodb"]["SequenceNumber"] for one in records]
    assert client.calls == []


def test_little_time_is_enough_for_little_work(client: Client) -> None:
    assert handle(put(client, row("a", "b"), row("b", "a"), message()), Context(1.0)) == []


@pytest.mark.parametrize("refusal", ["AccessDeniedException", "ValidationException", "ThrottlingException"])
def test_a_refused_write_is_reported_and_loses_nothing(client: Client, refusal: str) -> None:
    records = put(client, row("a", "b"), row("b", "a"), message())
    client.refusal = refusal
    assert handle(records) == [one["dynamodb"]["SequenceNumber"] for one in records]
    assert rows_of(client) == {"a": row("a", "b"), "b": row("b", "a")}
    client.refusal = None
    assert handle(records) == []


def test_the_log_tells_counts_and_ids_but_no_text(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "secret"
    rows = [row("a", "b", user_display_name={"S": secret}), row("b", "a", user_handle={"S": secret})]
    handle([*put(client, *rows, message(text=secret), message(group="orphan", text=secret)), {"dynamodb": {}}])
    output = capsys.readouterr().out
    assert secret not in output
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["event"] for line in lines] == ["record_unusable", "conversation_failed", "batch_settled"]
    assert lines[-1].items() >= {"rows_moved": 2, "records_unusable": 1, "conversations_failed": 1}.items()


def test_a_batch_folds_to_its_conversations() -> None:
    batch = fold([record(message(group=group)) for group in "gghgh"])
    assert [(dirty.message_group_uuid, len(dirty.sequence_numbers)) for dirty in batch.dirty] == [("g", 3), ("h", 2)]
