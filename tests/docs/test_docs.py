"""What the documents say of commands, settings and files is so."""

import dataclasses
import re
from pathlib import Path

import pytest

from cruddur_infra import REPOSITORY
from cruddur_infra.settings import STAGES, Settings

pytestmark = pytest.mark.check

DOCUMENTS = sorted([REPOSITORY / "README.md", REPOSITORY / "tests/README.md", *(REPOSITORY / "docs").rglob("*.md")])
NAMES = {field.name for field in dataclasses.fields(Settings)}

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
TARGET = re.compile(r"(?:^\s*|`|\()make(?: -s)? ([a-z][a-z-]+)\b", re.MULTILINE)
SETTING = re.compile(r"-c (\w+)=")
SETTING_ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| .+ \|$", re.MULTILINE)

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    links = [link for link in LINK.findall(document.read_text()) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


@every_document
def test_make_targets_exist(document: Path) -> None:
    assert set(TARGET.findall(document.read_text())) - make_targets() == set()


@every_document
def test_settings_exist(document: Path) -> None:
    assert set(SETTING.findall(document.read_text())) - NAMES == set()


def test_every_setting_is_described_with_its_values() -> None:
    rows = {
        name: tuple(value.strip("`") for value in values)
        for name, *values in SETTING_ROW.findall((REPOSITORY / "docs/settings.md").read_text())
    }
    assert rows.keys() == NAMES
    for name, values in rows.items():
        assert values == tuple(_as_written(getattr(STAGES[stage], name)) for stage in ("local", "dev", "prod")), name


def _as_written(value: object) -> str:
    if value in (None, ()):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_target_of_make_says_what_it_does() -> None:
    phony = set(re.findall(r"^\.PHONY: (\S+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert phony == make_targets()
