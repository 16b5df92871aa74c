"""The contents of a function's zip file: the modules that its entry imports, so that other changes do not alter it."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from modulefinder import ModuleFinder
from pathlib import Path

from cruddur_infra import LAMBDA_CODE

PACKAGE = "cruddur_messages"


def modules(entry: str) -> dict[str, Path]:
    """The files of an entry module and of all that it imports from `lambda/`, by their names in the zip file."""
    finder = ModuleFinder(path=[str(LAMBDA_CODE)])
    finder.import_hook(f"{PACKAGE}.{entry}")
    found = (getattr(module, "__file__", None) for module in finder.modules.values())
    files = sorted(Path(file) for file in found if file)
    return {file.relative_to(LAMBDA_CODE).as_posix(): file for file in files}


def folder_of(files: Mapping[str, Path]) -> Path:
    """A folder with copies of the files, under the given names; it is removed after synthesis.

    Whatever the umask is, files have mode 644 and folders 755, which Lambda must be able to read (Lambda Developer
    Guide, "Working with .zip file archives for Python"). The asset's hash does not cover modes, so wrong ones would
    stay in the bucket.
    """
    folder = Path(tempfile.mkdtemp(prefix="cruddur-messages-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, source in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder
