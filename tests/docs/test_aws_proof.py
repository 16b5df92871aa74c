"""The documents name each claim that `make prove-on-aws` tests and only AWS can show, and no other."""

import re
from pathlib import Path

import pytest

from aws_proof.page import described
from aws_proof.steps import CLAIMS
from cruddur_infra import REPOSITORY

PAGE = REPOSITORY / "docs/aws-proof.md"
OTHERS = [path for path in sorted((REPOSITORY / "docs").rglob("*.md")) if not path.name.startswith("aws-proof")]

NAMED = re.compile(r"\[([a-z-]+)\]\((?:\.\./)?aws-proof\.md#([a-z-]+)\)")
LEFT_TO_AWS = re.compile(r"only AWS (can|could)", re.IGNORECASE)


def test_every_claim_that_only_aws_shows_is_named_where_it_matters() -> None:
    named = {claim for path in OTHERS for _, claim in NAMED.findall(path.read_text())}
    assert named <= CLAIMS.keys()
    assert {name for name, claim in CLAIMS.items() if claim.not_on_emulator or claim.never} <= named
    for path in OTHERS:
        assert all(text == claim for text, claim in NAMED.findall(path.read_text())), path


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_only_aws_can_show_names_its_claims(path: Path) -> None:
    text = path.read_text()
    for section in re.split(r"^#+ ", text, flags=re.MULTILINE):
        for paragraph in section.split("\n\n"):
            if LEFT_TO_AWS.search(paragraph):
                assert NAMED.search(section) or "docs/security.md" in paragraph, paragraph
    table = re.search(r"^## What only AWS can prove\n.*?\|---.*?\n(.*)", text, re.DOTALL | re.MULTILINE)
    for row in table[1].splitlines() if table else ():
        assert NAMED.search(row), row


def test_the_page_describes_the_claims_as_they_are() -> None:
    head, _, claims = PAGE.read_text().partition("## The claims\n\n")
    assert claims == described(CLAIMS.values()), "stale: see aws_proof/page.py, described"
    assert "It has not been run on AWS yet" in head


def test_the_page_of_the_rehearsal_has_every_claim_and_is_no_page_of_aws() -> None:
    text = (REPOSITORY / "docs/aws-proof-rehearsal.md").read_text()
    assert text.startswith("# Claims, tested on the emulator")
    assert "| AWS |" not in text
    assert [name for name in CLAIMS if f"| {name} |" not in text] == []
    assert " | differs | " not in text
    assert " | not run | " not in text
