"""The documents name the test of each claim that only AWS can show, and no test that does not exist."""

import re
from pathlib import Path

import pytest

from cruddur_infra import REPOSITORY

pytestmark = pytest.mark.check

DOCUMENTS = [path for path in sorted((REPOSITORY / "docs").rglob("*.md")) if path.name != "aws-tests.md"]
SOURCES = [path.read_text() for path in sorted((REPOSITORY / "tests/aws").glob("test_*.py"))]

TEST = re.compile(r"^((?:@.*\n)*)def (test_\w+)\(.*\n    \"\"\"(.+?)\"\"\"", re.MULTILINE)
NAMED = re.compile(r"`(test_\w+)`")
LEFT_TO_AWS = re.compile(r"only AWS (can|could)", re.IGNORECASE)


def claims_in(source: str) -> dict[str, bool]:
    """The tests of a file, and whether only AWS can run them."""
    marks = set(re.findall(r"^(\w+) = pytest\.mark\.only_on_aws", source, re.MULTILINE)) | {"pytest.mark.only_on_aws"}
    return {
        name: "pytestmark" in marks or any(f"@{mark}" in above for mark in marks)
        for above, name, _ in TEST.findall(source)
    }


TESTS = {name: only_aws for source in SOURCES for name, only_aws in claims_in(source).items()}


def test_every_test_has_a_claim() -> None:
    assert set(TESTS) == {name for source in SOURCES for name in re.findall(r"def (test_\w+)", source)}


def test_what_only_aws_can_show_is_named_where_it_matters() -> None:
    named = {name for path in DOCUMENTS for name in NAMED.findall(path.read_text())}
    assert named <= set(TESTS)
    assert {name for name, only_aws in TESTS.items() if only_aws} <= named


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_only_aws_can_show_names_its_tests(path: Path) -> None:
    text = path.read_text()
    for section in re.split(r"^#+ ", text, flags=re.MULTILINE):
        for paragraph in section.split("\n\n"):
            if LEFT_TO_AWS.search(paragraph):
                assert NAMED.search(section) or "docs/security.md" in paragraph, paragraph
    table = re.search(r"^## What only AWS can prove\n.*?\|---.*?\n(.*)", text, re.DOTALL | re.MULTILINE)
    for row in table[1].splitlines() if table else ():
        assert NAMED.search(row), row
