"""The whole system of this machine, up and down."""

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console

from cruddur_infra import settings as stage_settings
from cruddur_infra.settings import Settings, SettingsError, context_of_the_app
from cruddur_local import demonstration, deployment, paths
from cruddur_local.emulator import REGION, ROOT_KEY, Emulator
from cruddur_local.errors import LocalSystemError
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.file import SeedFileError
from cruddur_messages.store import MessageStore


def up(*, port: int | None, keep_state: bool, overrides: Sequence[str], console: Console) -> Emulator:
    """Start the emulator if it does not run, deploy what has changed, and show it. Raises LocalSystemError."""
    settings = _settings(overrides)
    with _alone():
        emulator = Emulator.running()
        if emulator is not None:
            _refuse_other_terms(emulator, port=port, keep_state=keep_state)
            _say(console, f"The emulator runs already: {emulator.endpoint}")
            try:
                _bootstrap(emulator, console)
                _deploy_and_show(emulator, settings, overrides, console)
            except KeyboardInterrupt:
                raise LocalSystemError("interrupted; the system still runs, make up goes on with it") from None
            return emulator
        Emulator.stop_any()
        try:
            emulator = Emulator.start(port=port, keep_state=keep_state)
            _say(console, f"The emulator runs: {emulator.endpoint}, with TLS, IAM enforced")
            _bootstrap(emulator, console)
            _deploy_and_show(emulator, settings, overrides, console)
        except BaseException as error:
            if paths.SYSTEM.exists() and isinstance(error, BrokenPipeError | SystemExit):
                # All is deployed; only who read the output has gone.
                raise
            # Half a system would stand in the way of the next run.
            Emulator.stop_any()
            if isinstance(error, KeyboardInterrupt):
                raise LocalSystemError("interrupted; nothing is left running, make up begins anew") from None
            raise
        return emulator


def down(*, console: Console) -> None:
    """Stop the emulator and remove what `up` has made; state that was asked to be kept stays."""
    if not paths.LOCAL.exists():
        _say(console, "Nothing to take down")
        return
    with _alone():
        emulator = Emulator.started()
        if emulator is None:
            _say(console, "No emulator was running")
        else:
            with console.status("Stopping the emulator"):
                emulator.stop()
            _say(console, "The emulator is stopped")
        kept = {paths.LOCK, paths.DYNAMODB_LOCAL, paths.REBUILDS}
        if paths.KEPT_STATE.exists() and (emulator is None or emulator.keeps_state):
            kept.add(paths.KEPT_STATE)
            _say(console, f"Its state is kept for the next make up KEEP=1, in {paths.KEPT_STATE}")
        for entry in paths.LOCAL.iterdir():
            if entry in kept:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def running() -> Emulator:
    """The emulator of the running system. Raises LocalSystemError where none runs."""
    emulator = Emulator.running()
    if emulator is None:
        raise LocalSystemError("the system does not run; start it with make up")
    return emulator


def _settings(overrides: Sequence[str]) -> Settings:
    """Check what will be deployed before anything is started."""
    pairs = [override.partition("=") for override in overrides]
    for name, separator, _ in pairs:
        if not separator:
            raise LocalSystemError(f"{name!r} is no setting; it takes name=value")
        if name == "stage":
            raise LocalSystemError("make up deploys the stage local and no other; leave stage out")
    try:
        asked = {"stage": deployment.STAGE} | {name: value for name, _, value in pairs}
        settings = stage_settings.read(context_of_the_app() | asked)
        if settings.seed:
            seed_file.load(settings.seed_path, settings.seed_users_path)
    except (SettingsError, SeedFileError) as error:
        raise LocalSystemError(str(error)) from error
    return settings


def _bootstrap(emulator: Emulator, console: Console) -> None:
    """Bootstrap the emulator's account, unless that has been done."""
    if paths.BOOTSTRAPPED.exists():
        return
    with console.status("cdk bootstrap"):
        seconds = _timed(lambda: deployment.bootstrap(emulator))
    paths.BOOTSTRAPPED.touch()
    _say(console, f"Bootstrapped with cdk bootstrap ({seconds:.0f} s)")


def _refuse_other_terms(emulator: Emulator, *, port: int | None, keep_state: bool) -> None:
    if port not in (None, emulator.port):
        raise LocalSystemError(f"the system runs on port {emulator.port}; to have it on {port}, run make down first")
    if keep_state and not emulator.keeps_state:
        raise LocalSystemError("the running system keeps no state; run make down, then make up KEEP=1")


def _deploy_and_show(emulator: Emulator, settings: Settings, overrides: Sequence[str], console: Console) -> None:
    outputs: dict[str, Mapping[str, str]] = {}
    with console.status("cdk deploy --all"):
        seconds = _timed(lambda: outputs.update(deployment.deploy(emulator, overrides)))
    _say(console, f"Deployed with cdk deploy --all ({seconds:.0f} s)")
    _write_system(emulator, settings, outputs)
    if settings.seed:
        client = emulator.session.client("dynamodb", endpoint_url=emulator.endpoint, verify=emulator.certificate)
        store = MessageStore(client=client, table_name=settings.table_name)
        conversations = seed_file.load(settings.seed_path, settings.seed_users_path)
        demonstration.await_projection(store, conversations, console=console)
        _say(console, "The seed has flowed through the stream\n")
        demonstration.show(store, conversations, console=console)


def _write_system(emulator: Emulator, settings: Settings, outputs: Mapping[str, Mapping[str, str]]) -> None:
    """Tell bin/ddb where the system is."""
    main = outputs[settings.stack_name()]
    paths.SYSTEM.write_text(
        json.dumps(
            {
                "endpoint": emulator.endpoint,
                "ca_bundle": emulator.certificate,
                "region": REGION,
                "access_key_id": ROOT_KEY,
                "secret_access_key": ROOT_KEY,
                "table_name": settings.table_name,
                "failure_queue_url": main["FailureQueueUrl"],
                "log_group_name": main["LogGroupName"],
            },
            indent=2,
        )
        + "\n"
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock of `.local`; the kernel lets go of it when the process ends, however it ends."""
    paths.LOCAL.mkdir(exist_ok=True)
    with paths.LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalSystemError("another make up or make down is at work here; wait for it to end") from None
        yield


def _timed(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def _say(console: Console, line: str) -> None:
    console.print(f"[green]✓[/] {line}", highlight=False)
