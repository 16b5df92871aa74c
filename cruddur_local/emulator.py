"""MiniStack as a background process: TLS, IAM enforced, reachable from this machine only."""

import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import boto3
import psutil

from cruddur_local import environment, paths
from cruddur_local.errors import LocalSystemError
from cruddur_local.waiting import HANG_SECONDS, wait_until

DEFAULT_PORT = 4566
BUSY_SECONDS = 60.0
"""How long an emulator of an earlier run may take to respond before it is replaced."""
CLOCK_SECONDS = 60.0
"""How much a process's start time may differ after the machine's clock is set."""
REGION = "us-east-1"
ROOT_KEY = "test"


@dataclass(frozen=True)
class Emulator:
    """A started emulator: its process and its port. A process id can be reused, so the start time identifies it too."""

    pid: int
    born: float
    port: int
    keeps_state: bool

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"https://localhost:{self.port}"

    @property
    def certificate(self) -> str:
        """The file with its certificate, which its clients must trust."""
        return str(paths.EMULATOR_CERTIFICATE)

    @property
    def session(self) -> boto3.Session:
        """A session as its root user, independent of the environment; clients need its endpoint and certificate too."""
        return environment.session(access_key_id=ROOT_KEY, secret_access_key=ROOT_KEY, region=REGION)

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which boto3, the AWS CLI and the CDK CLI use it as its root user."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": self.certificate,
            "NODE_EXTRA_CA_CERTS": self.certificate,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            # A profile in these files could name an account, an endpoint or a login of its own.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @classmethod
    def running(cls) -> Self | None:
        """The emulator of an earlier run, if it still responds."""
        emulator = cls.noted()
        return emulator if emulator and emulator._process() and emulator._responds_within(BUSY_SECONDS) else None

    @classmethod
    def start(cls, *, port: int | None, keep_state: bool) -> Self:
        """Start an emulator and wait until it responds.

        Without a port, it gets the default port if that is free, else any free port. Raises LocalSystemError.
        """
        emulator = cls._launch(_free_port(port), keep_state=keep_state)
        if not emulator._responds_within(HANG_SECONDS) and port is None:
            # Another process took the port meanwhile.
            emulator.stop()
            emulator = cls._launch(_any_free_port(), keep_state=keep_state)
        if not emulator._responds_within(HANG_SECONDS):
            emulator.stop()
            raise LocalSystemError(f"the emulator did not start on port {emulator.port}; see {paths.EMULATOR_LOG}")
        return emulator

    @classmethod
    def _launch(cls, port: int, *, keep_state: bool) -> Self:
        paths.EMULATOR_TEMPORARY.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(paths.PASSING_STATE, ignore_errors=True)
        _state_directory(keep_state=keep_state).mkdir(exist_ok=True)
        if keep_state:
            _forget_stream_positions()
        with paths.EMULATOR_LOG.open("wb") as log:
            process = psutil.Popen(
                [str(paths.ENVIRONMENT_BIN / "ministack")],
                env=_environment(port, keep_state=keep_state),
                cwd=paths.LOCAL,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        emulator = cls(pid=process.pid, born=process.create_time(), port=port, keeps_state=keep_state)
        emulator._note()
        return emulator

    def keeping(self, keeps_state: bool) -> Self:
        """The same emulator, set to keep or to delete its state when it stops."""
        changed = replace(self, keeps_state=keeps_state)
        changed._note()
        return changed

    def _note(self) -> None:
        paths.EMULATOR_STATE.write_text(json.dumps(asdict(self)))

    @classmethod
    def stop_any(cls) -> None:
        """Stop the emulator of an earlier run, if any."""
        emulator = cls.noted()
        if emulator is not None:
            emulator.stop()
        _forget()

    def stop(self) -> None:
        """Stop the emulator and its function processes, and keep its state if it is to be kept.

        Its process may have ended: with the machine, or when an earlier `stop` was interrupted.
        """
        process = self._process()
        if process is not None:
            family = [process, *process.children(recursive=True)]
            process.terminate()
            # Only the emulator gets the signal, so that it can write its state before it ends.
            psutil.wait_procs([process], timeout=HANG_SECONDS if self.keeps_state else 2)
            for member in family:
                if member.is_running():
                    member.kill()
            psutil.wait_procs(family, timeout=5)
        if self.keeps_state and paths.PASSING_STATE.exists():
            paths.PASSING_STATE.rename(paths.KEPT_STATE)
        _forget()

    @classmethod
    def noted(cls) -> Self | None:
        """The emulator of an earlier run that was not stopped; its process may have ended."""
        try:
            return cls(**json.loads(paths.EMULATOR_STATE.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            is_ours = (
                abs(process.create_time() - self.born) < CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return None
        return process if is_ours else None

    def _responds_within(self, seconds: float) -> bool:
        """Whether it responds within the time; a wait ends early if its process ends."""
        wait_until(lambda: self._responds() or self._process() is None, within_seconds=seconds)
        return self._responds()

    def _responds(self) -> bool:
        if not paths.EMULATOR_CERTIFICATE.exists():
            return False
        try:
            trust = ssl.create_default_context(cafile=str(paths.EMULATOR_CERTIFICATE))
            with environment.open_directly(f"{self.endpoint}/_ministack/ready", timeout=10, trust=trust) as response:
                return bool(response.status == 200)
        except OSError:
            return False


def _environment(port: int, *, keep_state: bool) -> Mapping[str, str]:
    state = _state_directory(keep_state=keep_state)
    return {
        # Its functions inherit this, and would reach another endpoint or trust another certificate with more.
        **environment.basic(),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "USE_SSL": "1",
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "TMPDIR": str(paths.EMULATOR_TEMPORARY),
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
    }


def _state_directory(*, keep_state: bool) -> Path:
    """Where the emulator writes its state. It always writes it, because the user may decide later to keep it."""
    return paths.KEPT_STATE if keep_state else paths.PASSING_STATE


def _forget() -> None:
    """Remove the files that describe a running system."""
    for note in (paths.EMULATOR_STATE, paths.SYSTEM, paths.BOOTSTRAPPED):
        note.unlink(missing_ok=True)


def _forget_stream_positions() -> None:
    """Reset the kept event source mapping: the emulator keeps its position in the stream, but not the stream."""
    try:
        kept = json.loads(paths.KEPT_LAMBDA_STATE.read_text())
    except FileNotFoundError:
        return
    kept["payload"].pop("dynamodb_stream_positions", None)
    paths.KEPT_LAMBDA_STATE.write_text(json.dumps(kept))


def _free_port(wanted: int | None) -> int:
    if wanted is not None:
        if not environment.is_free(wanted):
            raise LocalSystemError(f"port {wanted} is taken; choose another one with make up PORT=<number>")
        return wanted
    if environment.is_free(DEFAULT_PORT):
        return DEFAULT_PORT
    return _any_free_port()


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
