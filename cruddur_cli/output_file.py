"""The check of a file that a command will write, before it reads anything."""

from pathlib import Path

from cruddur_cli.errors import DdbError


def require_writable(path: Path, *, option: str) -> None:
    """Raise DdbError if a file cannot be written, which is named by an option such as `--to`. It stays as it is."""
    try:
        is_new = not path.exists()
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise cannot_be_written(path, error, option=option) from error


def cannot_be_written(path: Path, error: OSError, *, option: str) -> DdbError:
    """The error for people."""
    return DdbError(f"{path} cannot be written ({error.strerror}): name another file with {option}")
