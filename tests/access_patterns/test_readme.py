"""The README's lines of code send a message and list an inbox."""

import re
import textwrap
import time

import boto3
import pytest

from cruddur_cli.settlement import settle
from cruddur_infra import REPOSITORY
from cruddur_messages import schema
from tests.access_patterns.people import items_of
from tests.engines.fixtures import CruddurTable

BLOCK = re.compile(r"^ *```python\n(.*?)```", re.DOTALL | re.MULTILINE)


def test_the_code_works(
    cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second message shows the moment before the projection runs; the pause stands for its run."""
    lines, names = BLOCK.findall((REPOSITORY / "README.md").read_text())
    client, table_name = cruddur_table.client, cruddur_table.name

    def pause(_: float) -> None:
        in_index = [item for item in items_of(cruddur_table) if schema.INDEX_PARTITION_KEY in item]
        assert settle(client, table_name, {item[schema.INDEX_PARTITION_KEY]["S"] for item in in_index}) == {}

    monkeypatch.setattr(boto3, "client", lambda _: client)
    monkeypatch.setattr(time, "sleep", pause)
    code = textwrap.dedent(names) + lines.replace('"cruddur-messages"', repr(table_name))
    exec(code, {})  # noqa: S102
    exec(code.replace("Lunch?", "Dinner?"), {})  # noqa: S102
    assert capsys.readouterr().out.split() == ["Lunch?", "Lunch?", "Lunch?", "Dinner?"]
