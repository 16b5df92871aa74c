"""The real CDK CLI against the emulator: bootstrap and deploy, as on AWS."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence

from cruddur_local import paths
from cruddur_local.emulator import OVERRIDING_VARIABLES, REGION, Emulator
from cruddur_local.errors import LocalSystemError

ACCOUNT = "000000000000"
STAGE = "local"


def bootstrap(emulator: Emulator) -> None:
    """Prepare the emulator's account for CDK deployments. Raises LocalSystemError."""
    _cdk(emulator, ["bootstrap", f"aws://{ACCOUNT}/{REGION}"])


def deploy(emulator: Emulator, settings: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Deploy every stack and return the outputs by stack; `settings` are `key=value`. Raises LocalSystemError."""
    _cdk(
        emulator,
        [
            "deploy",
            "--all",
            "--require-approval=never",
            "--concurrency=4",
            f"--outputs-file={paths.STACK_OUTPUTS}",
            *_context(settings),
        ],
    )
    outputs: Mapping[str, Mapping[str, str]] = json.loads(paths.STACK_OUTPUTS.read_text())
    return outputs


def _context(settings: Sequence[str]) -> list[str]:
    return [f"--context={setting}" for setting in (f"stage={STAGE}", *settings)]


def _cdk(emulator: Emulator, arguments: Sequence[str]) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in OVERRIDING_VARIABLES}
    search_path = os.pathsep.join([str(paths.ENVIRONMENT_BIN), os.environ.get("PATH", "")])
    with paths.CDK_LOG.open("w") as log:
        ended = subprocess.run(
            [str(paths.CDK_CLI), *arguments, f"--output={paths.CLOUD_ASSEMBLY}", "--ci", "--no-notices"],
            cwd=paths.REPOSITORY,
            env={**inherited, **emulator.variables, "PATH": search_path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        reason = telling_line(paths.CDK_LOG.read_text(errors="replace"))
        raise LocalSystemError(f"cdk {arguments[0]} failed: {reason} (all of it: {paths.CDK_LOG})")


def telling_line(printed: str) -> str:
    """The most useful line: our own error, else CDK's line on a failed deployment, else the last one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    for mark in ("error: ", "CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED", "Error: ", "❌"):
        for line in lines:
            if mark in line:
                return line
    return lines[-1] if lines else "it printed nothing"
