"""`make prove-on-aws REHEARSE=1` from beginning to end, on the emulator of `make up`."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from aws_proof.claims import Result
from aws_proof.steps import PHASES
from cruddur_infra import REPOSITORY
from tests.end_to_end.checkout import Checkout
from tests.engines.fixtures import free_port

pytestmark = pytest.mark.proof

ROW = re.compile(r"^\| (\w+) \| ([a-z-]+) \| .*? \| ([a-z ]+) \| (.*) \| \d+ \|$", re.MULTILINE)
NAME = "cruddur-aws-proof"
KEPT_UP = ("--old-file=.venv/dev.stamp",)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout.make(tmp_path_factory.mktemp("checkout"))
    for folder in ("aws_proof", "tests"):
        shutil.copytree(REPOSITORY / folder, made.folder / folder, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        made.make_target("up", f"PORT={free_port()}", "SETTINGS=seed=false")
        yield made
    finally:
        made.make_target("down")


def stacks(checkout: Checkout) -> list[str]:
    found = checkout.connection().client("cloudformation").describe_stacks()["Stacks"]
    return [one["StackName"] for one in found if one["StackName"].startswith(NAME)]


def test_every_claim_is_shown_or_has_a_reason_and_nothing_is_left(checkout: Checkout) -> None:
    ended = checkout.make_target(*KEPT_UP, "prove-on-aws", "REHEARSE=1", "PAGE=page.md")
    assert "AWS is not reached" in ended.stderr
    rows = {
        (phase, claim): (result, seen)
        for phase, claim, result, seen in ROW.findall((checkout.folder / "page.md").read_text())
    }
    for phase in PHASES:
        for claim in phase.claims:
            reason = claim.hidden_by(is_rehearsal=True)
            result, seen = rows[phase.name, claim.id]
            assert result == (Result.NOT_SHOWN if reason else Result.AS_CLAIMED), (claim.id, seen)
            assert not reason or seen == reason
    assert stacks(checkout) == []
    assert not (checkout.folder / f".local/aws-proof/{NAME}.json").exists()


def begun(checkout: Checkout, claim: str) -> "subprocess.Popen[str]":
    """A rehearsal that tests a claim of its first phase; it prints the claim before it tests it."""
    process = checkout.begin_target(*KEPT_UP, "prove-on-aws", "REHEARSE=1")
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if line.strip() == f"dev: {claim}":
            return process
    raise AssertionError("".join(said))


@pytest.mark.parametrize("claim", ["deploys", "smoke-passes"])
def test_ctrl_c_removes_everything(claim: str, checkout: Checkout) -> None:
    process = begun(checkout, claim)
    assert process.stderr
    os.killpg(process.pid, signal.SIGINT)
    said = process.stderr.read()
    assert process.wait()
    assert "interrupted; everything that was created is removed" in said
    assert stacks(checkout) == []
    assert not (checkout.folder / f".local/aws-proof/{NAME}.json").exists()


def test_clean_up_removes_what_a_killed_run_has_left(checkout: Checkout) -> None:
    process = begun(checkout, "smoke-passes")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert stacks(checkout)
    cleaned = checkout.make_target(*KEPT_UP, "prove-on-aws", "REHEARSE=1", "CLEAN_UP=1")
    assert "everything that was created is removed" in cleaned.stderr
    assert stacks(checkout) == []
