"""The runbook has a section for each alarm, and names commands, queries and tests that exist."""

import re

import pytest

from cruddur_infra import REPOSITORY
from cruddur_infra.monitoring.alarms import RUNBOOK
from cruddur_infra.monitoring.log import QUERIES
from tests.cli.conftest import DDB, run_process
from tests.operations.test_alarms import DEMANDED

pytestmark = pytest.mark.check

TEXT = (REPOSITORY / RUNBOOK).read_text()


def test_each_alarm_has_a_section_that_says_what_to_do() -> None:
    sections = dict(re.findall(r"^### (\S+)\n(.+?)(?=^##)", TEXT, re.MULTILINE | re.DOTALL))
    assert set(sections) == DEMANDED | {"audit-findings", "audit-missing"}
    for name, section in sections.items():
        assert "**Fix**" in section or "The same" in section or "Nothing to do" in section, name


def test_saved_queries_exist() -> None:
    named = {" ".join(words.split()) for words in re.findall(r"(?<!\*)\*([a-z][a-z\s]+)\*(?!\*)", TEXT)}
    assert named == set(QUERIES)


def test_commands_of_ddb_and_their_options_exist() -> None:
    commands = re.findall(r"`bin/ddb (\w+)([^`]*)`", TEXT)
    assert {command for command, _ in commands} == {"verify", "rebuild", "redrive"}
    for command in {command for command, _ in commands}:
        shown = run_process({"PATH": "/usr/bin:/bin", "COLUMNS": "200"}, command, "--help", cwd=DDB.parent).out
        wanted = {option for other, rest in commands if other == command for option in re.findall(r"--[a-z-]+", rest)}
        assert {option for option in wanted if option not in shown} == set()


def test_rehearsals_exist() -> None:
    for path in re.findall(r"`(tests/[\w/.]+)`", TEXT):
        assert (REPOSITORY / path).exists(), path


def test_cdk_commands_name_the_stage() -> None:
    written = re.findall(r"`(npx cdk\s[^`]+)`|^    (npx cdk .+)$", TEXT, re.MULTILINE)
    commands = [" ".join((inline or indented).split()) for inline, indented in written]
    assert len(commands) > 4
    assert [command for command in commands if "-c stage=" not in command] == []
