"""The commands, settings, files, links and versions that the documents name are as they say."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest
import typer

from cruddur_cli.local_system import version
from cruddur_cli.main import app
from cruddur_infra import REPOSITORY
from cruddur_infra.settings import Settings
from cruddur_infra.stages import load
from cruddur_messages.audit.checks import MEANINGS

pytestmark = pytest.mark.check

PLACES = ("*.md", ".github/[CS]*.md", "tests/README.md", "docs/**/*.md")
DOCUMENTS = sorted(found for place in PLACES for found in REPOSITORY.glob(place))
NAMES = {field.name for field in dataclasses.fields(Settings)}

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
COMMAND = re.compile(r"(?:^ *|`)bin/ddb ([a-z][a-z-]*)", re.MULTILINE)
TARGET = re.compile(r"(?:^\s*|`|\()make(?: -s)? ([a-z][a-z-]+)\b", re.MULTILINE)
SETTING = re.compile(r"-c (\w+)=")
SETTING_ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| .+ \|$", re.MULTILINE)

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))


def ddb_commands() -> set[str]:
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def links_of(document: Path) -> list[tuple[Path, str]]:
    """The files that a document links to, each with the heading, which may be empty."""
    links = [(path, anchor) for path, anchor in LINK.findall(document.read_text()) if "://" not in path]
    return [((document.parent / path).resolve() if path else document, anchor) for path, anchor in links]


def anchors_of(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    headings = HEADING.findall(document.read_text())
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_documents_outside_docs_are_checked_too() -> None:
    names = {path.name for path in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} <= names


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    assert [path for path, _ in links_of(document) if not path.exists()] == []


@every_document
def test_links_lead_to_headings_that_exist(document: Path) -> None:
    named = [(path, anchor) for path, anchor in links_of(document) if anchor]
    assert [(path.name, anchor) for path, anchor in named if anchor not in anchors_of(path)] == []


def test_the_readme_leads_to_every_document() -> None:
    reached: set[Path] = set()
    pending = [REPOSITORY / "README.md"]
    while pending:
        document = pending.pop()
        if document.is_dir():
            document = document / "README.md"
        if document not in reached and document in DOCUMENTS:
            reached.add(document)
            pending += [path for path, _ in links_of(document)]
    assert [path for path in DOCUMENTS if path not in reached] == []


def test_the_index_of_decisions_is_complete() -> None:
    folder = REPOSITORY / "docs/decisions"
    rows = re.findall(r"^\| \[(\d+)\]\((\S+)\) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    pages = [path for path in sorted(folder.glob("*.md")) if path.name != "README.md"]
    titles = [path.read_text().splitlines()[0] for path in pages]
    assert [(name, f"# {number}: {title}") for number, name, title in rows] == [
        (path.name, title) for path, title in zip(pages, titles, strict=True)
    ]


@every_document
def test_commands_of_ddb_exist(document: Path) -> None:
    assert set(COMMAND.findall(document.read_text())) - ddb_commands() == set()


def test_every_command_of_ddb_has_a_row() -> None:
    rows = re.findall(r"^\| (`.+?) \| .+ \|.*\|$", (REPOSITORY / "docs/ddb.md").read_text(), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)", row)} >= ddb_commands()


def test_every_problem_that_verify_finds_is_described_in_the_words_of_verify() -> None:
    text = (REPOSITORY / "docs/ddb.md").read_text()
    assert [
        f"| {name} | {meaning} |" for name, meaning in MEANINGS.items() if f"| {name} | {meaning} |" not in text
    ] == []


def test_the_version_is_that_of_the_newest_release_in_the_changelog() -> None:
    unreleased, newest, *_ = re.findall(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert unreleased == "Unreleased"
    assert version() == newest
    # The version is in one place.
    assert "project" not in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert "version" not in json.loads((REPOSITORY / "package.json").read_text())


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
        assert values == tuple(_as_written(getattr(load()[stage], name)) for stage in ("local", "dev", "prod")), name


def _as_written(value: object) -> str:
    if value in (None, ()):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_target_of_make_says_what_it_does() -> None:
    phony = set(re.findall(r"^\.PHONY: (\S+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert phony == make_targets()
