"""What synthesis, deployment, the zip file and a cold start cost, each beside a baseline of the same run.

    make bench-deployment

Writes docs/bench/deployment.md. Ratios are of medians; the two sides run alternately.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import track

from cruddur_infra import REPOSITORY
from tests.end_to_end.checkout import SHARED, Checkout
from tests.engines.fixtures import free_port

CDK = REPOSITORY / "node_modules/.bin/cdk"
ENVIRONMENT_BIN = Path(sys.executable).parent
REPORT = REPOSITORY / "docs/bench/deployment.md"
ROUNDS = 7
DEPLOYMENTS = 3

FIVE_STACKS = "85632bb"
"""The last commit with five stacks, for comparison; a clone without that history measures this commit only."""

EMPTY_APP = """
from aws_cdk import App, CfnWaitConditionHandle, Stack

app = App()
CfnWaitConditionHandle(Stack(app, "empty"), "Nothing")
app.synth()
"""
"""CDK refuses a stack without a resource; this resource does nothing."""

BARE_CLIENT = "import boto3; boto3.client('dynamodb')"
HANDLER = "import cruddur_messages.projection.handler"


@dataclass(frozen=True)
class Comparison:
    """Seconds of each round, of this app and of the minimum."""

    what: str
    ours: Sequence[float]
    least: Sequence[float]

    @property
    def ratio(self) -> float:
        """The ratio of the medians."""
        return statistics.median(self.ours) / statistics.median(self.least)

    @property
    def row(self) -> str:
        """A line of the report."""
        ours, least = (f"{statistics.median(seconds):.2f} s" for seconds in (self.ours, self.least))
        spread = f"{min(self.ours):.2f}-{max(self.ours):.2f} s"
        return f"| {self.what} | {ours} ({spread}) | {least} | {self.ratio:.2f} |"


def main() -> None:
    """Measure, print and write the report."""
    with tempfile.TemporaryDirectory() as folder:
        synthesis = _synthesis(Path(folder))
        comparisons = [synthesis, _cold_start(Path(folder))]
        parts = _parts(synthesis, Path(folder))
        sizes = _zip_sizes(Path(folder) / "ours")
        deployments = _deployments(Path(folder))
        runs = _make_up(Path(folder) / "clone")
    report = _report(comparisons, parts, sizes, deployments, runs)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(report)
    Console().print(report, markup=False, highlight=False, soft_wrap=True)


def _synthesis(folder: Path) -> Comparison:
    """Whole processes: `cdk synth` of this app and of an app with one empty stack."""
    empty = folder / "empty"
    empty.mkdir()
    (empty / "app.py").write_text(EMPTY_APP)
    context = json.loads((REPOSITORY / "cdk.json").read_text())
    (empty / "cdk.json").write_text(json.dumps(context | {"app": f"{sys.executable} app.py"}))
    search_path = {"PATH": f"{ENVIRONMENT_BIN}:{os.environ['PATH']}"}

    def synth(where: Path, output: str) -> Callable[[], None]:
        return lambda: _run([str(CDK), "synth", "--quiet", "--output", str(folder / output)], where, search_path)

    return _compare(
        "`cdk synth` of the dev stage, against an app of one empty stack",
        synth(REPOSITORY, "ours"),
        synth(empty, "least"),
    )


def _parts(synthesis: Comparison, folder: Path) -> list[str]:
    """Where the time of `cdk synth` goes, for this app and the empty one: the app, CDK's validator, the CDK CLI."""
    seconds: dict[str, list[float]] = {}
    for where, output in ((REPOSITORY, "ours"), (folder / "empty", "least")):
        settings = json.loads((where / "cdk.json").read_text())
        variables = {
            "PATH": f"{ENVIRONMENT_BIN}:{os.environ['PATH']}",
            "CDK_OUTDIR": str(folder / output),
            "CDK_CONTEXT_JSON": json.dumps(settings["context"]),
        }
        for validates in ("false", "true"):
            run = partial(_run, ["sh", "-c", settings["app"]], where, {**variables, "CDK_VALIDATION": validates})
            seconds.setdefault(validates, []).append(statistics.median(_seconds(run) for _ in range(ROUNDS)))
    wholes = [statistics.median(side) for side in (synthesis.ours, synthesis.least)]
    rows = {
        "the app: load CDK's libraries, create and resolve the resources": seconds["false"],
        "CDK's own validation of the templates": [
            on - off for on, off in zip(seconds["true"], seconds["false"], strict=True)
        ],
        "the CDK CLI": [whole - app for whole, app in zip(wholes, seconds["true"], strict=True)],
    }
    return [f"| {what} | {ours:.2f} s | {least:.2f} s |" for what, (ours, least) in rows.items()]


def _cold_start(folder: Path) -> Comparison:
    """Whole processes: importing the handler, which creates its client, and creating a client only."""
    variables = {
        "PYTHONPATH": str(REPOSITORY / "lambda"),
        "TABLE_NAME": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }
    return _compare(
        'Import of the handler with its client, against `boto3.client("dynamodb")`',
        lambda: _run([sys.executable, "-c", HANDLER], folder, variables),
        lambda: _run([sys.executable, "-c", BARE_CLIENT], folder, variables),
    )


def _compare(what: str, ours: Callable[[], None], least: Callable[[], None]) -> Comparison:
    ours()
    least()
    rounds = [(_seconds(ours), _seconds(least)) for _ in track(range(ROUNDS), description=what.split(",")[0])]
    return Comparison(what, [pair[0] for pair in rounds], [pair[1] for pair in rounds])


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _run(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
    subprocess.run(command, cwd=folder, env={**os.environ, **variables}, check=True, capture_output=True)


def _zip_sizes(assembly: Path) -> list[str]:
    """Kilobytes of each function's zip file, as the CDK CLI would upload it."""
    rows = []
    for asset in sorted(path for path in assembly.glob("asset.*") if path.is_dir()):
        archive = assembly / f"{asset.name}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in sorted(asset.rglob("*.*")):
                packed.write(file, file.relative_to(asset))
        entry = next(path.parent.name for path in asset.rglob("handler.py"))
        rows.append(f"| `{entry}` | {archive.stat().st_size / 1024:.1f} KB |")
    return rows


def _deployments(folder: Path) -> list[str]:
    """First `cdk deploy --all` of the stage local: of this commit and of the last with five stacks, alternately."""
    found = subprocess.run(["git", "cat-file", "-e", FIVE_STACKS], cwd=REPOSITORY, check=False, capture_output=True)
    commits = {"two stacks": "HEAD"} | ({"five stacks": FIVE_STACKS} if found.returncode == 0 else {})
    checkouts = {name: _clone(folder / name.replace(" ", "-"), commit) for name, commit in commits.items()}
    seconds: dict[str, list[float]] = {name: [] for name in checkouts}
    try:
        for checkout in checkouts.values():
            checkout.make_target("up", f"PORT={free_port()}", "SETTINGS=seed=false")
        for _ in track(range(DEPLOYMENTS), description="cdk deploy --all"):
            for name, checkout in checkouts.items():
                checkout.cdk("destroy", "--all", "--force")
                deploy = ("deploy", "--all", "--require-approval", "never", "--concurrency", "4")
                seconds[name].append(_seconds(lambda: checkout.cdk(*deploy, "--context", "seed=false")))  # noqa: B023
    finally:
        for checkout in checkouts.values():
            checkout.make_target("down")
    return [
        f"| {name} | {_resources(checkouts[name])} "
        f"| {statistics.median(taken):.1f} s ({min(taken):.1f}-{max(taken):.1f} s) |"
        for name, taken in seconds.items()
    ]


def _clone(folder: Path, commit: str) -> Checkout:
    """The repository at a commit, with this checkout's installed packages."""
    _run(["git", "clone", "--quiet", "--no-checkout", str(REPOSITORY), str(folder)], REPOSITORY, {})
    _run(["git", "checkout", "--quiet", "--detach", commit], folder, {})
    for name in SHARED:
        (folder / name).symlink_to(REPOSITORY / name)
    return Checkout(folder)


def _resources(checkout: Checkout) -> int:
    """The number of resources in the templates of `dev`."""
    output = checkout.folder / "dev.out"
    search_path = {"PATH": f"{ENVIRONMENT_BIN}:{os.environ['PATH']}"}
    _run(
        [str(CDK), "synth", "--quiet", "--context", "stage=dev", "--output", str(output)], checkout.folder, search_path
    )
    return sum(len(json.loads(file.read_text())["Resources"]) for file in output.glob("*.template.json"))


def _make_up(clone: Path) -> list[str]:
    """Seconds of `make up` in a fresh clone, with the packages in the caches of uv and npm, and of a second run."""
    _run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], REPOSITORY, {})
    seconds = {}
    try:
        for which in ("first, in a fresh clone", "second"):
            seconds[which] = _seconds(
                lambda: subprocess.run(["make", "up"], cwd=clone, check=True, capture_output=True)
            )
    finally:
        subprocess.run(["make", "down"], cwd=clone, check=False, capture_output=True)
    return [f"| {which} | {taken:.0f} s |" for which, taken in seconds.items()]


def _report(
    comparisons: Sequence[Comparison],
    parts: Sequence[str],
    sizes: Sequence[str],
    deployments: Sequence[str],
    runs: Sequence[str],
) -> str:
    rows = "\n".join(comparison.row for comparison in comparisons)
    return f"""# What deployment and a cold start cost

Made by `make bench-deployment`: medians of {ROUNDS} alternating rounds, on Python {sys.version.split()[0]}.

| whole process | this app (spread) | minimum | ratio |
|---|---|---|---|
{rows}

| where the time of `cdk synth` goes | this app | empty app |
|---|---:|---:|
{chr(10).join(parts)}

| first `cdk deploy --all` to the emulator | resources of `dev` | {DEPLOYMENTS} alternating deployments |
|---|---:|---|
{chr(10).join(deployments)}

| function | zip file |
|---|---|
{chr(10).join(sizes)}

| `make up`, with packages already downloaded | |
|---|---|
{chr(10).join(runs)}
"""


if __name__ == "__main__":
    main()
