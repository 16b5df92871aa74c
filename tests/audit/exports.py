"""Exports as DynamoDB writes them, with any cut of the items into files."""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cruddur_messages.items import AttributeMap


def write_export(
    folder: Path, files: Iterable[Sequence[AttributeMap]], *, table_name: str = "cruddur-messages", **summary: Any
) -> str:
    """Write a file for each part; returns the location. `summary` has other values for its manifest."""
    (folder / "data").mkdir(parents=True)
    lines: list[dict[str, Any]] = []
    for number, items in enumerate(files):
        content = gzip.compress("".join(json.dumps({"Item": item}) + "\n" for item in items).encode(), 1)
        (folder / f"data/{number}.json.gz").write_bytes(content)
        md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        key = f"a/prefix/AWSDynamoDB/01-2d/data/{number}.json.gz"
        lines.append({"itemCount": len(items), "md5Checksum": md5, "etag": "e", "dataFileS3Key": key})
    (folder / "manifest-files.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{table_name}"
    whole = {"tableArn": arn, "itemCount": sum(line["itemCount"] for line in lines), "outputFormat": "DYNAMODB_JSON"}
    (folder / "manifest-summary.json").write_text(json.dumps({**whole, "exportType": "FULL_EXPORT", **summary}))
    return str(folder)


def no_s3() -> Any:
    """For exports in a folder."""
    raise AssertionError("there is no bucket here")
