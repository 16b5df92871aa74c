"""Writes a table as DynamoDB's own export has it; a new run continues an interrupted one."""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

from cruddur_cli.errors import DdbError
from cruddur_cli.maintenance.checkpoint import identity
from cruddur_cli.maintenance.progress import ShowProgress, no_progress
from cruddur_cli.maintenance.scan import SEGMENTS, Place, in_parallel, pages
from cruddur_messages.audit.export import DATA, FILES, FORMAT, FULL, SUMMARY
from cruddur_messages.items import AttributeMap

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ITEMS_AT_ONCE = 50_000
"""About how many items all segments hold together before each writes a file: what an interrupt loses at most."""

NOTES = "unfinished.jsonl"
"""What is written so far: a line about the table, then one per file."""


class TableExport:
    """An export of one table into a folder. Raises DdbError if the folder cannot be used."""

    def __init__(self, *, client: "DynamoDBClient", table_name: str, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._lock = Lock()
        table = client.describe_table(TableName=table_name)["Table"]
        self._table_name = table_name
        self._items = table.get("ItemCount", 0)
        self._identity = identity(table)
        now = datetime.now(UTC).isoformat()
        self._header: Mapping[str, Any] = {**self._identity, "segments": SEGMENTS, "startTime": now}

    def run(self, *, show_progress: ShowProgress = no_progress) -> int:
        """Write what is missing; returns the number of all items."""
        try:
            return self._run(show_progress)
        except BotoCoreError:
            raise  # some are OSErrors
        except OSError as error:
            raise DdbError(f"{self._folder} cannot be written ({error.strerror}): name another folder") from error

    def _run(self, show_progress: ShowProgress) -> int:
        if (self._folder / SUMMARY).exists():
            raise DdbError(f"{self._folder} holds a finished export: name another folder")
        (self._folder / DATA).mkdir(parents=True, exist_ok=True)
        header, notes = self._begin()
        segments: int = header["segments"]
        done = {note["segment"]: note for note in notes}
        left = [segment for segment in range(segments) if segment not in done or done[segment]["last"]]
        with show_progress("export", self._items) as progress:
            progress.advance(sum(note["items"] for note in notes))

            def write(segment: int, stopped: Event) -> None:
                start = done[segment]["last"] if segment in done else None
                numbers = count(sum(note["segment"] == segment for note in notes))
                read = pages(self._client, self._table_name, segment, segments, start=start)
                files = _files(read, stopped, ITEMS_AT_ONCE // segments)
                for number, (items, last) in zip(numbers, files, strict=False):
                    written = self._write(f"{segment:03}-{number:05}.json.gz", items)
                    self._note({"segment": segment, "last": last, "items": len(items), **written})
                    progress.advance(len(items))

            in_parallel(write, left)
        return self._finish(header)

    def _begin(self) -> tuple[Mapping[str, Any], list[Any]]:
        """What an interrupted run has written. Raises DdbError if it was another table's, or none."""
        path = self._folder / NOTES
        try:
            lines = path.read_text().splitlines(keepends=True) if path.exists() else []
            # An interrupted run may have written a part of its last line.
            notes: list[dict[str, Any]] = [dict(json.loads(line)) for line in lines if line.endswith("\n")]
        except (ValueError, TypeError, RecursionError) as error:
            raise DdbError(f"{path} is not what an interrupted run has left: name another folder") from error
        if not notes:
            path.write_text(json.dumps(self._header) + "\n")
            return self._header, []
        path.write_text("".join(json.dumps(note) + "\n" for note in notes))
        header = notes[0]
        if not self._identity.items() <= header.items():
            raise DdbError(
                f"{self._folder} has a part of another table ({header.get('tableArn')}): name another folder"
            )
        return header, notes[1:]

    def _write(self, name: str, items: Sequence[AttributeMap]) -> dict[str, str]:
        lines = "".join(json.dumps({"Item": item}, separators=(",", ":"), default=_binary) + "\n" for item in items)
        content = gzip.compress(lines.encode(), compresslevel=1, mtime=0)
        (self._folder / DATA / name).write_bytes(content)
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        return {"name": name, "md5": base64.b64encode(digest).decode()}

    def _note(self, note: Mapping[str, Any]) -> None:
        with self._lock, (self._folder / NOTES).open("a") as notes:
            notes.write(json.dumps(note, default=_binary) + "\n")

    def _finish(self, header: Mapping[str, Any]) -> int:
        notes = [json.loads(line) for line in (self._folder / NOTES).read_text().splitlines()[1:]]
        files = [
            {"itemCount": note["items"], "md5Checksum": note["md5"], "dataFileS3Key": f"{DATA}/{note['name']}"}
            for note in sorted(notes, key=lambda note: note["name"])
        ]
        items: int = sum(note["items"] for note in notes)
        (self._folder / FILES).write_text("".join(json.dumps(file) + "\n" for file in files))
        unfinished = self._folder / f"{SUMMARY}.new"
        unfinished.write_text(
            json.dumps(
                {
                    "version": "2023-08-01",
                    "startTime": header["startTime"],
                    "endTime": datetime.now(UTC).isoformat(),
                    "tableArn": header["tableArn"],
                    "exportTime": header["startTime"],
                    "manifestFilesS3Key": FILES,
                    "itemCount": items,
                    "outputFormat": FORMAT,
                    "exportType": FULL,
                }
            )
        )
        unfinished.replace(self._folder / SUMMARY)
        (self._folder / NOTES).unlink()
        return items


def _files(
    read: Iterator[tuple[Sequence[AttributeMap], Place | None]], stopped: Event, items_in_a_file: int
) -> Iterator[tuple[list[AttributeMap], Place | None]]:
    """Pages joined to the contents of files; at once nothing more if another segment has failed."""
    items: list[AttributeMap] = []
    for page, last in read:
        items += page
        if stopped.is_set():
            return
        if last is None or len(items) >= items_in_a_file:
            yield items, last
            items = []


def _binary(value: bytes) -> str:
    """Binary values as an export has them."""
    return base64.b64encode(value).decode()
