"""Tables that somebody else made: one line says what is missing, before anything is written; numbers are exact."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruddur_cli.console import Output, plain
from cruddur_messages import schema
from tests.access_patterns.people import items_of
from tests.cli.conftest import At
from tests.cli.test_commands import COMMANDS, GROUP
from tests.engines.fixtures import CruddurTable

NEEDED = "pk (hash, S) and sk (range, S)"
INDEX: dict[str, Any] = {
    "IndexName": schema.INDEX_NAME,
    "KeySchema": [
        {"AttributeName": "message_group_uuid", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "ALL"},
}


@contextmanager
def table_with(on: CruddurTable, keys: str, indexes: list[Any]) -> Iterator[CruddurTable]:
    """A table whose keys are written as `pk:S sk:N`, the partition key first."""
    names = [key.split(":") for key in keys.split()]
    types = dict(names) | ({"message_group_uuid": "S", "sk": dict(names)["sk"]} if indexes else {})
    made = replace(on, name=f"{on.name}-found")
    made.client.create_table(
        TableName=made.name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],  # type: ignore[typeddict-item]
        KeySchema=[
            {"AttributeName": name, "KeyType": kind}  # type: ignore[typeddict-item]
            for (name, _), kind in zip(names, ("HASH", "RANGE"), strict=False)
        ],
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),  # type: ignore[arg-type]
    )
    try:
        yield made
    finally:
        made.client.delete_table(TableName=made.name)


KEYS_FOUND = "has the keys {}, and needs {}: name another table"
FOUND = {
    "other names": ("PK:S SK:S", [], KEYS_FOUND.format("PK (hash, S) and SK (range, S)", NEEDED)),
    "numeric": ("pk:S sk:N", [INDEX], KEYS_FOUND.format("pk (hash, S) and sk (range, N)", NEEDED)),
    "id": ("id:S", [], KEYS_FOUND.format("id (hash, S)", NEEDED)),
    "no sort key": ("pk:S", [], KEYS_FOUND.format("pk (hash, S)", NEEDED)),
    "no index": (
        "pk:S sk:S",
        [],
        "has no index message-group-sk-index: add it, with the keys message_group_uuid (hash, S)",
    ),
    "keys only": (
        "pk:S sk:S",
        [INDEX | {"Projection": {"ProjectionType": "KEYS_ONLY"}}],
        "with some attributes; it needs message_group_uuid (hash, S) and sk (range, S), with all attributes",
    ),
    "index without sk": (
        "pk:S sk:S",
        [INDEX | {"KeySchema": INDEX["KeySchema"][:1]}],
        "has the keys message_group_uuid (hash, S), with all attributes; it needs",
    ),
}


@pytest.mark.parametrize(("keys", "indexes", "why"), FOUND.values(), ids=FOUND)
def test_another_layout_is_one_line_before_any_write(
    at: At, cruddur_table: CruddurTable, keys: str, indexes: list[Any], why: str
) -> None:
    every = [words for words in COMMANDS if words[0] not in ("describe", "drop", "scan")]
    commands = every if keys.startswith("PK") or "has no index" in why else [("verify",)]
    with table_with(cruddur_table, keys, indexes) as table:
        for words in commands:
            result = at(table, *words)
            assert (result.status, result.out) == (1, ""), (words, result)
            assert result.err.count("\n") == 1, (words, result)
            assert why in result.err, (words, result)
        assert items_of(table) == []
        assert at(table, "scan").status == at(table, "describe").status == 0


def exact(text: str) -> Decimal:
    return Decimal(text).normalize()


@given(st.decimals(allow_nan=False, allow_infinity=False).filter(lambda n: len(n.as_tuple().digits) <= 38))
def test_a_number_is_printed_exactly(number: Decimal) -> None:
    text = f"{number:f}" if -130 < number.adjusted() < 126 else "0"
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("sys.stdout.write", lines.append)
        Output(as_json=True).json_line(plain({"n": {"N": text}, "of": {"L": [{"NS": [text]}]}}))
    read = json.loads(lines[0], parse_float=exact, parse_int=exact)
    assert read == {"n": exact(text), "of": [[exact(text)]]}


def test_a_member_who_is_no_user_is_named_by_id(at: At, cruddur_table: CruddurTable) -> None:
    assert at(cruddur_table, "seed").status == 0
    stranger = str(uuid.uuid4())
    row: dict[str, Any] = {
        "pk": {"S": f"GRP#{stranger}"},
        "sk": {"S": "2026-01-01T10:00:00+02:00"},
        "message_group_uuid": {"S": GROUP},
        "message": {"S": "hi"},
        "user_uuid": {"S": "5a1c9f0e-7d43-4c1b-9e62-0b8f4d27a1c3"},
        "user_handle": {"S": "andrewbrown"},
    }
    cruddur_table.client.put_item(TableName=cruddur_table.name, Item=row)
    listed = at(cruddur_table, "list-conversations", stranger.upper())
    assert (listed.status, listed.err) == (0, "")
    assert "2026-01-01 08:00" in listed.out
    unnamed = at(cruddur_table, "send", GROUP, "hello", "--from", stranger)
    assert (unnamed.status, unnamed.out) == (1, "")
    assert f"user {stranger} has no name in users.json or in the table" in unnamed.err
    other = {**row, "pk": {"S": f"GRP#{uuid.uuid4()}"}, "user_uuid": {"S": stranger}, "user_handle": {"S": "zoe"}}
    cruddur_table.client.put_item(TableName=cruddur_table.name, Item=other)
    sent = at(cruddur_table, "send", GROUP, "hello", "--from", stranger)
    assert sent.status == 0, sent.err
    assert sent.err.startswith("zoe writes to ")
    assert "zoe" in at(cruddur_table, "get-conversation", GROUP).out


def test_a_group_is_listed_by_its_members(at: At, cruddur_table: CruddurTable) -> None:
    assert at(cruddur_table, "seed").status == 0
    lines = at(cruddur_table, "list-conversations", "andrewbrown").out.splitlines()
    assert "last message (UTC)" in lines[0]
    assert sorted(line.split("  ")[0] for line in lines[1:]) == ["bayko", "bayko, mina", "mina", "tomas"]
    assert "\nandrewbrown, mina" in at(cruddur_table, "list-conversations", "bayko").out
    assert "andrewbrown, mina" in at(cruddur_table, "watch", "bayko", "--for", "0").out
