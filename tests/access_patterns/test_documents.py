"""The README's lines of code work; the code on docs/backend.md is the example's, and it lists every error."""

import re
import textwrap
import time

import boto3
import pytest

from cruddur_cli.settlement import settle
from cruddur_infra import REPOSITORY
from cruddur_messages import schema
from cruddur_messages.store import errors
from tests.access_patterns.people import items_of
from tests.engines.fixtures import CruddurTable

PAGE = REPOSITORY / "docs" / "backend.md"
BLOCK = re.compile(r"^ *```python\n(.*?)```", re.DOTALL | re.MULTILINE)


def test_the_code_of_the_readme_sends_a_message_and_lists_an_inbox(
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


def test_the_code_on_the_page_is_the_code_of_the_example() -> None:
    shown = re.findall(r"<!-- code of: (\S+) -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(shown) == 2
    for file, code in shown:
        source = (REPOSITORY / file).read_text()
        assert code in source or textwrap.indent(code, "    ") in source, f"{file} has changed: show it as it is"


def test_the_page_lists_every_error_and_its_code() -> None:
    page = PAGE.read_text()
    for error in errors.RejectedError.__subclasses__():
        if error.__module__ == errors.__name__:
            assert f"`{error.__name__}`" in page
            assert f"`{error.code}`" in page
