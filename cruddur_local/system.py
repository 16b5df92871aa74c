"""Starts and stops the whole system on this machine."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from filelock import FileLock, Timeout
from rich.console import Console

from cruddur_infra import stages
from cruddur_infra.settings import Settings, SettingsError
from cruddur_local import demonstration, deployment, paths
from cruddur_local.emulator import REGION, ROOT_KEY, Emulator
from cruddur_local.errors import LocalSystemError
from cruddur_messages import schema
from cruddur_messages.seed import file as seed_file
from cruddur_messages.seed.file import SeedFileError
from cruddur_messages.store import MessageStore

TABLE_VARIABLE = "DDB_TABLE_NAME"
"""The variable that a backend reads (docs/backend.md)."""

VARIABLES = (*Emulator(pid=0, born=0, port=0, keeps_state=False).variables, TABLE_VARIABLE)
"""The names of the variables that `variables` has."""


def up(*, port: int | None, keep_state: bool, overrides: Sequence[str], console: Console) -> None:
    """Start the emulator if it does not run, deploy what has changed, and show it. Raises LocalSystemError."""
    settings = _settings(overrides)
    with _alone():
        emulator = Emulator.running()
        if emulator is None:
            _start(settings, overrides, port=port, keep_state=keep_state, console=console)
        else:
            _update(emulator, settings, overrides, port=port, keep_state=keep_state, console=console)


def _start(
    settings: Settings, overrides: Sequence[str], *, port: int | None, keep_state: bool, console: Console
) -> None:
    Emulator.stop_any()
    if keep_state:
        _refuse_another_kept_table(settings)
    elif paths.KEPT_STATE.exists():
        _say(console, "A new system starts: the kept data stays for make up KEEP=1")
    try:
        with deployment.synthesis(overrides):
            emulator = Emulator.start(port=port, keep_state=keep_state)
            _say(console, f"The emulator runs: {emulator.endpoint}, with TLS, IAM enforced")
            _bootstrap(emulator, console)
        _deploy_and_show(emulator, settings, overrides, console, is_synthesized=True)
    except BaseException as error:
        if paths.SYSTEM.exists() and isinstance(error, BrokenPipeError | SystemExit):
            # Everything is deployed; only the reader of the output is gone.
            raise
        # A half-deployed system would make the next run fail.
        Emulator.stop_any()
        if isinstance(error, KeyboardInterrupt):
            raise LocalSystemError("interrupted; nothing is left running, make up starts again") from None
        raise


def _update(
    emulator: Emulator,
    settings: Settings,
    overrides: Sequence[str],
    *,
    port: int | None,
    keep_state: bool,
    console: Console,
) -> None:
    _refuse_other_port(emulator, port)
    _say(console, f"The emulator runs already: {emulator.endpoint}")
    emulator = _keep_if_asked(emulator, keep_state=keep_state, console=console)
    _tell_of_another_table(emulator, settings, console)
    try:
        if not paths.BOOTSTRAPPED.exists():
            _bootstrap(emulator, console)
        _deploy_and_show(emulator, settings, overrides, console, is_synthesized=False)
    except KeyboardInterrupt:
        raise LocalSystemError("interrupted; the system still runs, and make up continues") from None


def down(*, keep_state: bool | None, console: Console) -> None:
    """Stop the emulator and remove what `up` has created.

    True keeps the data of the running system. False deletes it and what was kept before. With None, the choice of `up`
    applies. Raises LocalSystemError.
    """
    if not paths.LOCAL.exists():
        _say(console, "Nothing to stop")
        return
    with _alone():
        emulator = Emulator.noted()
        if emulator is None:
            _say(console, "No emulator was running")
        else:
            if keep_state is not None:
                emulator = _keep_if_asked(emulator, keep_state=keep_state, console=console).keeping(keep_state)
            with console.status("Stopping the emulator"):
                emulator.stop()
            lost = "" if emulator.keeps_state else ", and its data is gone: make up KEEP=1 would have kept it"
            _say(console, f"The emulator is stopped{lost}")
        kept = {paths.LOCK, paths.DYNAMODB_LOCAL, paths.REBUILDS, paths.AWS_TESTS}
        if paths.KEPT_STATE.exists() and keep_state is not False:
            kept.add(paths.KEPT_STATE)
            _say(console, f"Kept for make up KEEP=1: {paths.KEPT_STATE}; make down KEEP=0 deletes it")
        elif paths.KEPT_STATE.exists():
            _say(console, "What was kept is deleted")
        for entry in paths.LOCAL.iterdir():
            if entry in kept:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def status() -> Mapping[str, str]:
    """The state of the system, by name."""
    emulator = Emulator.running()
    kept = f"table {_kept_table()}, in {paths.KEPT_STATE}" if paths.KEPT_STATE.exists() else "nothing"
    if emulator is None:
        return {"system": "not up; make up starts it", "kept for make up KEEP=1": kept}
    system = description()
    if not system:
        return {"system": "the emulator is up, and nothing is deployed yet", "endpoint": emulator.endpoint}
    found = {
        "system": "up",
        "endpoint": emulator.endpoint,
        "table": system["table_name"],
        "kept over make down": "yes" if emulator.keeps_state else "no; make up KEEP=1 keeps it",
        "settings": system["settings"] or "defaults",
        "users": system["users_file"],
    }
    return found if emulator.keeps_state else found | {"kept for make up KEEP=1": kept}


def description() -> Mapping[str, str]:
    """The description of the running system from the last `up`; empty if nothing is deployed."""
    try:
        written: Mapping[str, str] = json.loads(paths.SYSTEM.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return written


def running() -> Emulator:
    """The emulator of the running system. Raises LocalSystemError if none runs."""
    emulator = Emulator.running()
    if emulator is None:
        raise LocalSystemError("the system does not run; start it with make up")
    return emulator


def variables() -> dict[str, str]:
    """The environment in which boto3, the AWS CLI and a backend work on the running system. Raises LocalSystemError."""
    return {**running().variables, TABLE_VARIABLE: description().get("table_name", schema.TABLE_NAME)}


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
        # make up gives the CDK CLI a home of its own.
        settings = stages.read(stages.context_of_the_app() | asked, cdk_files=[stages.CDK_JSON])
        if settings.seed:
            seed_file.load(settings.seed_path, settings.seed_users_path)
    except (SettingsError, SeedFileError) as error:
        raise LocalSystemError(str(error)) from error
    return settings


def _bootstrap(emulator: Emulator, console: Console) -> None:
    with console.status("cdk bootstrap, and cdk synth meanwhile"):
        seconds = _timed(lambda: deployment.bootstrap(emulator))
    paths.BOOTSTRAPPED.touch()
    _say(console, f"Bootstrapped with cdk bootstrap ({seconds:.0f} s), and synthesized meanwhile")


def _refuse_other_port(emulator: Emulator, port: int | None) -> None:
    if port not in (None, emulator.port):
        raise LocalSystemError(f"the system runs on port {emulator.port}; to have it on {port}, run make down first")


def _keep_if_asked(emulator: Emulator, *, keep_state: bool, console: Console) -> Emulator:
    """The running emulator, set to keep its state. Only one state can be kept."""
    if not keep_state or emulator.keeps_state:
        return emulator
    if paths.KEPT_STATE.exists():
        raise LocalSystemError(
            f"{paths.KEPT_STATE} keeps the state of another system, table {_kept_table()}, and can keep one only: "
            "make down and make up KEEP=1 continue with that one, make down KEEP=0 deletes both"
        )
    _say(console, "Its data is kept over make down from now on")
    return emulator.keeping(True)


def _tell_of_another_table(emulator: Emulator, settings: Settings, console: Console) -> None:
    """Print that the running system's table will be replaced. Raises LocalSystemError if it must be kept."""
    table_name = description().get("table_name", settings.table_name)
    if table_name == settings.table_name:
        return
    if emulator.keeps_state:
        raise LocalSystemError(_would_be_lost(table_name, settings))
    _say(console, f"The table {table_name} is deleted with its data: {settings.table_name} takes its place")


def _refuse_another_kept_table(settings: Settings) -> None:
    table_name = _kept_table() or settings.table_name
    if table_name != settings.table_name:
        raise LocalSystemError(_would_be_lost(table_name, settings))


def _would_be_lost(table_name: str, settings: Settings) -> str:
    return (
        f"the data that is kept is in the table {table_name}, and would be lost with the table {settings.table_name}: "
        f'say SETTINGS="table_name={table_name}", or make down KEEP=0 to delete it'
    )


def _kept_table() -> str:
    """The name of the table whose data is kept; empty if it is not known."""
    try:
        return paths.KEPT_TABLE.read_text().strip()
    except FileNotFoundError:
        return ""


def _deploy_and_show(
    emulator: Emulator, settings: Settings, overrides: Sequence[str], console: Console, *, is_synthesized: bool
) -> None:
    outputs: dict[str, Mapping[str, str]] = {}
    with console.status("cdk deploy --all"):
        seconds = _timed(lambda: outputs.update(deployment.deploy(emulator, overrides, is_synthesized=is_synthesized)))
    _say(console, f"Deployed with cdk deploy --all ({seconds:.0f} s)")
    _write_system(emulator, settings, overrides, outputs)
    if settings.seed:
        client = emulator.session.client("dynamodb", endpoint_url=emulator.endpoint, verify=emulator.certificate)
        store = MessageStore(client=client, table_name=settings.table_name)
        conversations = seed_file.load(settings.seed_path, settings.seed_users_path)
        demonstration.await_projection(store, conversations, console=console)
        _say(console, "The projection has settled the seed\n")
        demonstration.show(store, conversations, console=console)


def _write_system(
    emulator: Emulator, settings: Settings, overrides: Sequence[str], outputs: Mapping[str, Mapping[str, str]]
) -> None:
    """Write the system's description for bin/ddb, and the kept table's name for the next `up`."""
    state = paths.KEPT_STATE if emulator.keeps_state and paths.KEPT_STATE.exists() else paths.PASSING_STATE
    (state / paths.KEPT_TABLE.name).write_text(f"{settings.table_name}\n")
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
                "seed_file": str(settings.seed_path),
                "users_file": str(settings.seed_users_path),
                "settings": " ".join(overrides),
                "kept": "yes" if emulator.keeps_state else "no",
                "failure_queue_url": main["FailureQueueUrl"],
                "log_group_name": main["LogGroupName"],
            },
            indent=2,
        )
        + "\n"
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock of `.local`. The kernel releases it when the process ends, also after a crash."""
    paths.LOCAL.mkdir(exist_ok=True)
    try:
        with FileLock(paths.LOCK, blocking=False):
            yield
    except Timeout:
        raise LocalSystemError("another make up or make down runs here; wait for it to end") from None


def _timed(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def _say(console: Console, line: str) -> None:
    console.print(f"[green]✓[/] {line}", highlight=False)
