"""The README's lines of code send a message and list an inbox."""

import re
import textwrap

import boto3
import pytest

from cruddur_infra import REPOSITORY
from tests.engines.fixtures import CruddurTable

BLOCK = re.compile(r"^ *```python\n(.*?)```", re.DOTALL | re.MULTILINE)


def test_the_code_works(
    cruddur_table: CruddurTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, names = BLOCK.findall((REPOSITORY / "README.md").read_text())
    monkeypatch.setattr(boto3, "client", lambda _: cruddur_table.client)
    code = textwrap.dedent(names) + lines.replace('"cruddur-messages"', repr(cruddur_table.name))
    exec(code, {})  # noqa: S102
    assert capsys.readouterr().out == "['Lunch?']\n"
