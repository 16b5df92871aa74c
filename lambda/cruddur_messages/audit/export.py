"""An export of a table, as DynamoDB writes it to S3, or a copy of it in a folder: manifests, and gzipped JSON lines.

Developer Guide, "DynamoDB table export output format".
"""

import base64
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from cruddur_messages.audit.snapshot import TableSnapshot
from cruddur_messages.dynamodb import error_code
from cruddur_messages.items import AttributeMap

SUMMARY = "manifest-summary.json"
FILES = "manifest-files.json"
DATA = "data"
FORMAT = "DYNAMODB_JSON"
FULL = "FULL_EXPORT"

S3 = "s3://"
ITEMS_AT_ONCE = 1000

MOST_CONVERSATIONS = 50_000
"""A fold of a file hands on what it has after so many conversations: each takes about 2.4 KB."""


class ExportError(Exception):
    """The export cannot be checked; the text is one line that says what is wrong and what to do."""


class ObjectStore(Protocol):
    """What is needed of boto3's S3 client."""

    def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]:  # noqa: N803
        """GetObject."""


@dataclass(frozen=True)
class DataFile:
    """A file of the export: its name below `data`, the number of its items, and the MD5 of its bytes in base64."""

    name: str
    items: int
    md5: str


class Export:
    """An export at `location`: the folder of the manifests or one of these, also `s3://bucket/prefix/AWSDynamoDB/<id>`.

    `s3` returns a client for the latter: an export goes to other processes, a client cannot. Raises ExportError, and
    what the client raises for other errors than a missing object or permission.
    """

    def __init__(self, location: str, s3: Callable[[], ObjectStore]) -> None:
        self.location = re.sub(r"(^|/)(manifest-\w+\.json)?$", "", location) or "."
        self._s3 = s3
        summary = self._summary()
        self.table_name = str(summary["tableArn"]).rpartition("/")[2]
        self.items = self._count(SUMMARY, summary)
        self.files = self._files()

    def require_table(self, table_name: str) -> None:
        """Raise ExportError if it is an export of another table."""
        if self.table_name != table_name:
            raise ExportError(
                f"{self.location} is an export of the table {self.table_name}, not of {table_name}: "
                f"name the table with --table {self.table_name}, or another export"
            )

    def folds(self, file: DataFile) -> Iterator[TableSnapshot]:
        """The folds of a file's parts: to be merged."""
        fold = TableSnapshot()
        for items in self._pages(file):
            try:
                fold.add(items)
            except (AttributeError, KeyError, TypeError) as error:
                wrong = f"without the text {error} as a key" if isinstance(error, KeyError) else "of another form"
                raise ExportError(
                    f"{self._path(f'{DATA}/{file.name}')} has an item {wrong}: "
                    "it is not an export of a table for messages"
                ) from error
            if len(fold.conversations) + len(fold.inboxes) > MOST_CONVERSATIONS:
                yield fold
                fold = TableSnapshot()
        yield fold

    def _pages(self, file: DataFile) -> Iterator[list[AttributeMap]]:
        name = f"{DATA}/{file.name}"
        count, page = 0, list[AttributeMap]()
        raw = _Hashed(self._open(name))
        try:
            with gzip.open(cast(BinaryIO, raw)) as lines:
                for line in lines:
                    page.append(json.loads(line)["Item"])
                    if len(page) == ITEMS_AT_ONCE:
                        count += len(page)
                        yield page
                        page = []
        except BotoCoreError:
            raise  # some are OSErrors
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
            self._refuse(name, f"it cannot be read ({type(error).__name__})")
        finally:
            raw.close()
        count += len(page)
        if raw.md5 != file.md5:
            self._refuse(name, f"its MD5 is {raw.md5}, and the manifest says {file.md5}")
        if count != file.items:
            self._refuse(name, f"it has {count:,} items, and the manifest says {file.items:,}")
        yield page

    def _summary(self) -> Mapping[str, Any]:
        summary = self._json(SUMMARY, self._text(SUMMARY))
        if missing := [name for name in ("tableArn", "itemCount", "outputFormat") if name not in summary]:
            self._refuse(SUMMARY, f"{missing[0]} is missing")
        if (found := summary["outputFormat"]) != FORMAT:
            raise ExportError(f"{self.location} is in the format {found}: export the table again as {FORMAT}")
        if (found := summary.get("exportType", FULL)) != FULL:
            raise ExportError(f"{self.location} is of the type {found}: only a {FULL} has every item, make one")
        return summary

    def _files(self) -> tuple[DataFile, ...]:
        files: list[DataFile] = []
        for line in self._text(FILES).splitlines():
            entry = self._json(FILES, line)
            try:
                name = str(entry["dataFileS3Key"]).rpartition("/")[2]
                files.append(DataFile(name, self._count(FILES, entry), str(entry["md5Checksum"])))
            except KeyError as error:
                self._refuse(FILES, f"a line has no {error}")
        if (listed := sum(file.items for file in files)) != self.items:
            self._refuse(FILES, f"it lists {listed:,} of {self.items:,} items")
        return tuple(files)

    def _count(self, name: str, entry: Mapping[str, Any]) -> int:
        count = entry["itemCount"]
        if not isinstance(count, int):
            self._refuse(name, f"itemCount is {count!r}, not a number of items")
        return count

    def _json(self, name: str, text: str) -> Mapping[str, Any]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            self._refuse(name, "it is not JSON as DynamoDB writes it")
        return cast(Mapping[str, Any], value)

    def _text(self, name: str) -> str:
        with self._open(name) as file:
            try:
                return file.read().decode()
            except ValueError:
                self._refuse(name, "it is not text")

    def _open(self, name: str) -> BinaryIO:
        if not self.location.startswith(S3):
            try:
                return Path(self.location, name).open("rb")
            except OSError as error:
                raise self._unreadable(name, error.strerror) from error
        bucket, _, prefix = self.location.removeprefix(S3).partition("/")
        try:
            return cast(BinaryIO, self._s3().get_object(Bucket=bucket, Key=f"{prefix}/{name}".lstrip("/"))["Body"])
        except ClientError as error:
            code = error_code(error)
            if code in ("AccessDenied", "NoSuchKey", "NoSuchBucket", "404", "403"):
                raise self._unreadable(name, f"{code}; s3:GetObject is needed") from error
            raise

    def _path(self, name: str) -> str:
        return f"{self.location}/{name}"

    def _unreadable(self, name: str, why: str | None) -> ExportError:
        return ExportError(
            f"{self._path(name)} cannot be opened ({why}): name the folder or the s3:// prefix with {SUMMARY} of a "
            "finished export"
        )

    def _refuse(self, name: str, why: str) -> NoReturn:
        raise ExportError(f"{self._path(name)} is truncated or altered: {why}; copy or make the export again")


class _Hashed:
    """A file whose bytes are hashed as they are read; gzip reads all of them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._digest.update(content)
        return content

    def close(self) -> None:
        self._file.close()

    @property
    def md5(self) -> str:
        return base64.b64encode(self._digest.digest()).decode()
