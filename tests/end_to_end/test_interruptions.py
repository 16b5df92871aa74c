"""Errors and interruptions on a laptop: each is one line, and the next `make up` works."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cruddur_local.waiting import wait_until
from cruddur_messages.seed.file import load
from cruddur_messages.store import MessageStore
from tests.end_to_end.checkout import Checkout
from tests.end_to_end.inboxes import await_exact


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout.make(tmp_path)
    yield made
    made.make_target("down")


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """One copy for all tests that must start nothing."""
    made = Checkout.make(tmp_path_factory.mktemp("idle"))
    yield made
    made.make_target("down")


def emulator_process(checkout: Checkout) -> psutil.Process | None:
    try:
        state = json.loads((checkout.folder / ".local/emulator.json").read_text())
        process = psutil.Process(state["pid"])
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return process if abs(process.create_time() - state["born"]) < 60 else None


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error:")]


def test_a_taken_port_is_named_and_nothing_is_started(idle: Checkout) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = idle.make_target("up", f"PORT={port}", succeeds=False)
    (line,) = errors(refused.stderr)
    assert str(port) in line
    assert "PORT=" in line
    assert emulator_process(idle) is None


@pytest.mark.parametrize(
    "setting", ["sede=true", "stage=prod", "batch_size=many", "seed_file=no/such.txt", "batch_size"]
)
def test_a_wrong_setting_is_refused_before_anything_is_started(setting: str, idle: Checkout) -> None:
    refused = idle.make_target("up", f"SETTINGS={setting}", succeeds=False)
    (line,) = errors(refused.stderr)
    assert setting.split("=")[0] in line or "such.txt" in line
    assert "Traceback" not in refused.stderr
    assert emulator_process(idle) is None


def test_commands_without_a_system_say_what_to_do(idle: Checkout) -> None:
    for command in ("env", "logs"):
        (line,) = errors(idle.make_target(command, succeeds=False).stderr)
        assert "make up" in line


@pytest.mark.proof
def test_after_ctrl_c_and_after_a_killed_emulator_the_next_up_works(checkout: Checkout) -> None:
    begun = checkout.begin_target("up")
    assert wait_until((checkout.folder / ".local/cdk-bootstrap.log").exists)
    interrupted = emulator_process(checkout)
    assert interrupted is not None
    _, complaint = checkout.interrupt(begun)
    assert begun.returncode != 0
    assert len(errors(complaint)) == 1
    assert "Traceback" not in complaint
    assert not interrupted.is_running()

    checkout.make_target("up")
    running = emulator_process(checkout)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    (line,) = errors(checkout.make_target("env", succeeds=False).stderr)
    assert "make up" in line

    assert "Sent by make up" in checkout.make_target("up").stdout
    await_exact(checkout.account().client("dynamodb"))


@pytest.mark.proof
def test_data_is_kept_after_down_only_with_keep(checkout: Checkout) -> None:
    conversation = load()[0]

    def send(message: str) -> None:
        store = MessageStore(client=checkout.account().client("dynamodb"), table_name="cruddur-messages")
        store.send(conversation.message_group_uuid, sender=conversation.members[0], message=message)
        assert message in texts()

    def texts() -> list[str]:
        found = await_exact(checkout.account().client("dynamodb"))
        return [item["message"]["S"] for item in found if "message" in item]

    checkout.make_target("up")
    send("Before it was kept")
    note = checkout.folder / ".local/emulator.json"
    emulator = emulator_process(checkout)
    assert emulator
    ending = checkout.begin_target("down", "KEEP=1")
    assert wait_until(lambda: '"keeps_state": true' in note.read_text())
    checkout.interrupt(ending)
    emulator.terminate()
    emulator.wait()
    checkout.make_target("down", "KEEP=1")
    checkout.make_target("up", "KEEP=1")
    assert "Before it was kept" in texts()
    send("To be kept")
    checkout.make_target("down")
    checkout.make_target("up", "KEEP=1")
    assert {"Before it was kept", "To be kept"} <= set(texts())
    (line,) = errors(checkout.make_target("up", "KEEP=1", "SETTINGS=table_name=other", succeeds=False).stderr)
    assert "would be lost with the table other" in line
    checkout.make_target("down")
    checkout.make_target("up")
    assert "To be kept" not in texts()
    (line,) = errors(checkout.make_target("up", "KEEP=1", succeeds=False).stderr)
    assert "make down KEEP=0 deletes both" in line
    assert "kept over make down      no" in checkout.make_target("-s", "status").stdout
    assert "its data is gone" in checkout.make_target("down").stdout
    assert "table cruddur-messages" in checkout.make_target("-s", "status").stdout
    checkout.make_target("down", "KEEP=0")
    assert not (checkout.folder / ".local/state").exists()
