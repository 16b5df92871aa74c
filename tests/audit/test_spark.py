"""Spark finds what one process finds, on any number of partitions, also when an executor dies."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruddur_cli.errors import DdbError
from cruddur_cli.maintenance import spark
from cruddur_cli.maintenance.progress import no_progress
from cruddur_cli.maintenance.verify import check_export
from cruddur_messages.audit.export import Export
from cruddur_messages.items import AttributeMap
from tests.audit.damaged import GROUPS, TIMES, USERS, conversation
from tests.audit.exports import no_s3, write_export
from tests.audit.test_exports import cut

pytestmark = pytest.mark.proof

REPOSITORY = Path(__file__).parents[2]


def expected(location: str) -> Any:
    contents, findings = check_export(Export(location, no_s3), no_progress)
    lines = sorted(finding.to_json(confirmed=False) for finding in findings)
    return {"findings": lines, "conversations": contents.conversations}


def on_spark(locations: Sequence[str], master: str, **environ: str) -> list[Any]:
    """What each export has, on 1, 2 and 64 partitions."""
    environ |= spark.environment(master, f"{REPOSITORY}/lambda")
    environ["PYTHONPATH"] = f"{REPOSITORY}/lambda:{REPOSITORY}"
    program = [str(spark.ENVIRONMENT / "bin/python"), "-m", "tests.audit.on_spark", *locations]
    finished = subprocess.run(program, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return [json.loads(line) for line in finished.stdout.splitlines()]


@settings(max_examples=1, deadline=None)
@given(st.lists(cut(), min_size=4, max_size=4))
def test_spark_finds_the_same_on_any_number_of_partitions(tables: list[list[list[AttributeMap]]]) -> None:
    with TemporaryDirectory() as folder:
        locations = [write_export(Path(folder, str(number)), files) for number, files in enumerate(tables)]
        wanted = [expected(location) for location in locations for _ in range(3)]
        assert on_spark(locations, "local[2]") == wanted


def test_an_executor_that_dies_half_way_changes_nothing(tmp_path: Path) -> None:
    files = [conversation(group, USERS[:3], TIMES[:2])[number:] for number, group in enumerate(GROUPS)]
    location = write_export(tmp_path / "x", files)
    found = on_spark([location], "local-cluster[2,1,1024]", DIE=str(tmp_path / "died"))
    assert found == [expected(location)] * 3
    assert (tmp_path / "died").exists()


def test_the_job_gives_findings_and_counts_and_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    items = conversation(GROUPS[0], USERS[:3], TIMES[:2])
    export = Export(write_export(tmp_path / "x", [items[:2], items[3:]]), no_s3)
    assert spark.check_on("local[2]")(export, no_progress) == check_export(export, no_progress)
    (tmp_path / "x/data/1.json.gz").unlink()
    with pytest.raises(DdbError, match=r"data/1\.json\.gz cannot be opened") as refused:
        spark.check_on("local[2]")(export, no_progress)
    assert "\n" not in str(refused.value)
