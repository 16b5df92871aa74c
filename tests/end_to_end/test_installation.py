"""tools/install and its errors: each is one line, and the next run continues."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cruddur_infra import REPOSITORY
from tests.end_to_end import hostile

NOWHERE = "http://127.0.0.1:9/simple"
OFFLINE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": NOWHERE,
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_NO_CACHE_DIR": "1",
    "UV_DEFAULT_INDEX": NOWHERE,
    "UV_NO_CACHE": "1",
}
"""A package index that refuses connections, and no cached packages."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a fresh clone that an installation needs, with a lock file of one small package."""
    shutil.copytree(REPOSITORY / "tools", tmp_path / "tools")
    locked = (REPOSITORY / "requirements.txt").read_text().split("\n    # via", 1)[0]
    (tmp_path / "small.txt").write_text(locked + "\n")
    shutil.copytree(REPOSITORY / "requirements", tmp_path / "requirements")
    return tmp_path


def install(folder: Path, *words: str, **environment: str) -> tuple[int, list[str]]:
    """The exit status and the lines printed."""
    ended = subprocess.run(
        ["tools/install", *(words or (".venv", "small.txt"))],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr.splitlines()


def installed(folder: Path) -> bool:
    return bool(list(folder.glob(".venv/lib/python3*/site-packages/attr/__init__.py")))


def python(folder: Path, name: str, line: str) -> None:
    program = folder / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)


def test_an_old_python_is_one_line(folder: Path) -> None:
    for name in ("python3", *(f"python3.{minor}" for minor in range(11, 15)), "python"):
        python(folder / "old", name, "exit 1")
    status, lines = install(folder, PATH=f"{folder / 'old'}:{os.environ['PATH']}", PYTHON_3="")
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("error: no Python 3.11 or newer")
    assert "make PYTHON_3=" in lines[0]


def test_an_old_python3_does_not_hide_a_new_one(tmp_path: Path) -> None:
    python(tmp_path / "bin", "python3", "exit 1")
    python(tmp_path / "bin", "python3.12", f'exec {sys.executable} "$@"')
    find, environment = ["/bin/sh", str(REPOSITORY / "tools/find-python")], {"PATH": str(tmp_path / "bin")}
    assert subprocess.run(find, env=environment, capture_output=True, check=True).stdout == b"python3.12\n"


def hostile_environment(folder: Path) -> dict[str, str]:
    """What a user may have set, with the caches of this machine."""
    caches = {"UV_CACHE_DIR": str(Path.home() / ".cache/uv"), "npm_config_cache": str(Path.home() / ".npm")}
    return caches | hostile.VARIABLES | {"HOME": str(hostile.home(folder / "home"))}


def test_the_users_configuration_changes_nothing(folder: Path) -> None:
    assert install(folder, **hostile_environment(folder)) == (0, ["Installing small.txt ..."])
    assert installed(folder)


def sources(folder: Path, files: dict[str, str], **variables: str) -> tuple[dict[str, str], dict[str, object]]:
    """The variables with which packages are installed, and uv's settings, for a user with these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    # Of the machine's own configuration, only its files may show.
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
    said = subprocess.run(
        [sys.executable, REPOSITORY / "tools/package_sources.py", folder / "uv.toml"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pairs = [line.removeprefix("export ").partition("=") for line in said.splitlines() if line.startswith("export ")]
    exported = {name: shlex.split(value)[0] for name, _, value in pairs}
    return exported, tomllib.loads((folder / "uv.toml").read_text())


MIRROR = "https://user:a b'c@mirror.example/simple"


@pytest.mark.parametrize(
    ("files", "variables", "for_uv"),
    [
        ({}, {"PIP_INDEX_URL": MIRROR}, {"UV_DEFAULT_INDEX": MIRROR}),
        ({".config/pip/pip.conf": f"[global]\nindex-url = {MIRROR}\nuser = yes\n"}, {}, {"UV_DEFAULT_INDEX": MIRROR}),
        ({".pip/pip.conf": f"[install]\nindex-url = {MIRROR}\n"}, {"PIP_INDEX_URL": "x"}, {}),
        ({}, {"PIP_INDEX_URL": "x", "UV_DEFAULT_INDEX": MIRROR, "UV_INDEX_CORP_PASSWORD": "p"}, {}),
        (
            {},
            {"PIP_CERT": "/c.pem", "PIP_PROXY": "http://p", "PIP_TRUSTED_HOST": "m"},
            {"SSL_CERT_FILE": "/c.pem", "HTTPS_PROXY": "http://p", "HTTP_PROXY": "http://p", "UV_INSECURE_HOST": "m"},
        ),
        ({}, {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/w"}, {"UV_NO_INDEX": "1", "UV_FIND_LINKS": "/w"}),
    ],
)
def test_the_users_mirrors_are_kept_and_uv_gets_those_of_pip(
    tmp_path: Path, files: dict[str, str], variables: dict[str, str], for_uv: dict[str, str]
) -> None:
    assert (variables | for_uv).items() <= sources(tmp_path, files, **variables)[0].items()


def test_of_uvs_own_files_the_mirrors_are_kept(tmp_path: Path) -> None:
    mirrors = f'index-url = {json.dumps(MIRROR)}\nnative-tls = true\n[[index]]\nname = "corp"\nurl = "https://corp"\n'
    text = 'exclude-newer = "2020-01-01"\n' + mirrors + '[pip]\ntarget = "/nowhere"\n'
    exported, settings = sources(tmp_path, {".config/uv/uv.toml": text})
    assert settings == tomllib.loads(mirrors)
    assert exported["UV_CONFIG_FILE"] == str(tmp_path / "uv.toml")


def test_what_says_where_packages_go_is_left_out(tmp_path: Path) -> None:
    variables = {name: value for name, value in hostile.VARIABLES.items() if name.startswith(("PIP_", "UV_"))}
    exported, settings = sources(tmp_path, hostile.FILES, **variables)
    assert exported.keys() & variables.keys() == set()
    assert "nowhere" not in str(exported)
    assert settings == {}


@pytest.mark.proof
def test_npm_installs_the_cdk_cli_whatever_the_user_has_set(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy2(REPOSITORY / name, folder)
    (folder / ".venv").symlink_to(REPOSITORY / ".venv")
    environment = hostile_environment(folder)
    assert install(folder, "node_modules", "package-lock.json", **environment) == (0, ["Installing the CDK CLI ..."])
    assert (folder / "node_modules/.bin/cdk").exists()


def test_a_clone_with_converted_line_ends_can_run_its_scripts(tmp_path: Path) -> None:
    (tmp_path / "ddb").write_bytes(b"#!/bin/sh\n")
    shutil.copy2(REPOSITORY / ".gitattributes", tmp_path)
    for words in ("init --quiet", "add .", "-c core.autocrlf=true checkout-index --all --force --prefix=clone/"):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)
    assert (tmp_path / "clone/ddb").read_bytes() == b"#!/bin/sh\n"


@pytest.mark.proof
def test_an_interrupted_installation_is_replaced(folder: Path) -> None:
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to("/nowhere/python3")
    assert install(folder) == (0, ["Installing small.txt ..."])
    assert installed(folder)


@pytest.mark.proof
def test_a_missing_network_is_one_line_and_the_installation_continues_when_it_is_back(folder: Path) -> None:
    status, lines = install(folder, **OFFLINE)
    assert (status, lines[0], len(lines)) == (1, "Installing small.txt ...", 2)
    assert lines[1].startswith("error: small.txt could not be installed: ")
    assert "is the package index reachable?" in lines[1]
    assert install(folder) == (0, ["Installing small.txt ..."])
    assert installed(folder)


@pytest.mark.proof
@pytest.mark.parametrize("is_hostile", [False, True])
def test_pip_installs_if_uv_cannot_be_installed(folder: Path, is_hostile: bool) -> None:
    lock = folder / "requirements/dev.txt"
    lock.write_text(lock.read_text().replace("\nuv==", "\nuv==0.0.", 1))
    status, lines = install(folder, **(hostile_environment(folder) if is_hostile else {}))
    assert status == 0, lines
    assert lines[0] == "Installing small.txt ..."
    assert lines[1].startswith("pip installed small.txt, which takes longer than uv; uv could not be installed: ")
    assert len(lines) == 2
    assert installed(folder)
