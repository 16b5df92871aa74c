"""An export of a table gives the findings of a scan, and a damaged or unsuitable one is refused in one line."""

import gzip
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import Mock, patch

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from cruddur_cli.errors import DdbError
from cruddur_cli.maintenance import spark
from cruddur_cli.maintenance.progress import no_progress
from cruddur_cli.maintenance.verify import check_export
from cruddur_messages.audit import export as exports
from cruddur_messages.audit.checks import check_table
from cruddur_messages.audit.export import Export, ExportError
from cruddur_messages.audit.snapshot import TableSnapshot
from cruddur_messages.items import AttributeMap
from tests.audit.damaged import GROUPS, TIMES, USERS, conversation, tables
from tests.audit.exports import no_s3, write_export
from tests.audit.test_folds import long_conversation, peak_of_memory

pytestmark = pytest.mark.check


@st.composite
def cut(draw: st.DrawFn) -> list[list[AttributeMap]]:
    """The items of a table in files."""
    items = draw(tables())
    cuts = sorted(draw(st.lists(st.integers(0, len(items)), max_size=3)))
    return [items[start:end] for start, end in zip([0, *cuts], [*cuts, len(items)], strict=True)]


@given(cut(), st.sampled_from([1, 2, 50_000]))
def test_an_export_gives_the_findings_of_the_table(files: list[list[AttributeMap]], most_conversations: int) -> None:
    table = TableSnapshot()
    table.add(item for items in files for item in items)
    with TemporaryDirectory() as folder, patch.object(exports, "MOST_CONVERSATIONS", most_conversations):
        contents, findings = check_export(Export(write_export(Path(folder, "x"), files), no_s3), no_progress)
    assert (contents, sorted(findings)) == (table.contents, sorted(check_table(table)))


class Bucket:
    """An object store with the files of a folder, of which some must not be read, and some take too long."""

    def __init__(self, folder: Path, refused: str = "", slow: str = "/", code: str = "AccessDenied") -> None:
        self.folder, self.refused, self.slow, self.code = folder, refused, slow, code

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        path = self.folder / Key.removeprefix("a/prefix/")
        if Bucket != "exports" or not path.exists() or self.refused in Key.split("/"):
            raise ClientError({"Error": {"Code": self.code, "Message": ""}}, "GetObject")
        if path.name.endswith(self.slow):
            return {"Body": Mock(read=Mock(side_effect=ReadTimeoutError(endpoint_url="https://s3")))}
        return {"Body": path.open("rb")}


def test_an_export_in_a_bucket_is_read_like_a_folder(tmp_path: Path) -> None:
    write_export(tmp_path / "x", [conversation(GROUPS[0], USERS[:2], TIMES[:1])])
    location = "s3://exports/a/prefix/x/"
    assert check_export(Export(location, lambda: Bucket(tmp_path)), no_progress)[0].conversations == 1
    for refused in ("manifest-summary.json", "manifest-files.json", "0.json.gz"):
        with pytest.raises(ExportError, match=f"{refused} cannot be opened .AccessDenied; s3:GetObject is needed"):
            check_export(Export(location, lambda refused=refused: Bucket(tmp_path, refused)), no_progress)  # type: ignore[misc]
    with pytest.raises(ClientError, match="SlowDown"):
        Export(location, lambda: Bucket(tmp_path, "manifest-summary.json", code="SlowDown"))
    with pytest.raises(ReadTimeoutError):
        check_export(Export(location, lambda: Bucket(tmp_path, slow=".gz")), no_progress)


def test_the_location_of_an_export_may_be_its_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = write_export(tmp_path / "x", [])
    assert Export(f"{location}/manifest-summary.json", no_s3).location == location
    monkeypatch.chdir(location)
    assert Export("manifest-files.json", no_s3).location == "."


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _drop_an_item(path: Path) -> None:
    path.write_bytes(gzip.compress(b"\n".join(gzip.decompress(path.read_bytes()).splitlines()[1:])))


def _drop_a_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def _nest(path: Path) -> None:
    path.write_text("[" * 9999)


def _drop_counts(path: Path) -> None:
    path.write_text(re.sub(r'"itemCount": \d+', '"itemCount": null', path.read_text()))


def _rename_counts(path: Path) -> None:
    path.write_text(path.read_text().replace("itemCount", "count"))


def _write_no_text(path: Path) -> None:
    path.write_bytes(b"\xff")


@pytest.mark.parametrize("name", ["manifest-summary.json", "manifest-files.json", "data/1.json.gz"])
@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        _truncate,
        _append,
        _drop_an_item,
        _drop_a_line,
        _drop_counts,
        _rename_counts,
        _write_no_text,
        _nest,
    ],
)
def test_a_missing_truncated_or_altered_file_is_named(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    items = conversation(GROUPS[0], USERS[:2], TIMES[:2])
    location = write_export(tmp_path / "x", [items[:3], items[3:]])
    try:
        damage(tmp_path / "x" / name)
    except (OSError, UnicodeDecodeError):
        return
    with pytest.raises(ExportError) as refused:
        check_export(Export(location, no_s3), no_progress)
    assert f"{tmp_path}/x/{name}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_has_as_many_items_as_the_manifest_says(tmp_path: Path) -> None:
    items = conversation(GROUPS[0], USERS[:2], TIMES[:2])
    location = write_export(tmp_path / "x", [items[:1], items[1:]])
    manifest = tmp_path / "x/manifest-files.json"
    one, other = map(json.loads, manifest.read_text().splitlines())
    one["itemCount"], other["itemCount"] = other["itemCount"], one["itemCount"]
    manifest.write_text("\n".join(map(json.dumps, (one, other))))
    with pytest.raises(ExportError, match="it has 1 items, and the manifest says"):
        check_export(Export(location, no_s3), no_progress)


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        ({"outputFormat": "ION"}, "is in the format ION: export the table again as DYNAMODB_JSON"),
        ({"exportType": "INCREMENTAL_EXPORT"}, "is of the type INCREMENTAL_EXPORT: only a FULL_EXPORT has every item"),
        ({"itemCount": 9}, "it lists 0 of 9 items"),
    ],
)
def test_an_export_that_does_not_have_every_item_is_refused(tmp_path: Path, summary: Any, text: str) -> None:
    with pytest.raises(ExportError, match=text):
        Export(write_export(tmp_path / "x", [], **summary), no_s3)


def test_an_export_of_another_table_is_refused(tmp_path: Path) -> None:
    export = Export(write_export(tmp_path / "x", [], table_name="other"), no_s3)
    with pytest.raises(ExportError, match="is an export of the table other, not of mine: name the table with --table"):
        export.require_table("mine")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"id": {"S": "1"}}, "has an item without the text 'pk' as a key"),
        (None, "has an item of another form"),
        ({"pk": "MSG#1", "sk": "2026"}, "has an item of another form"),
        ({**conversation(GROUPS[0], USERS[:2], TIMES[:1])[0], "user_uuid": "1"}, "has an item of another form"),
    ],
)
def test_an_export_of_other_items_is_refused(tmp_path: Path, item: Any, text: str) -> None:
    with pytest.raises(ExportError, match=text):
        check_export(Export(write_export(tmp_path / "x", [[item]]), no_s3), no_progress)


@pytest.mark.parametrize(
    ("python", "text"),
    [
        (None, "Spark is not installed here: run make spark, or leave out --engine spark"),
        ("echo /nowhere", "there is no Java or no PySpark in {folder}: remove the folder and run make spark"),
        (
            f"exec {sys.executable} $@",
            "there is no Java or no PySpark in {folder}: remove the folder and run make spark",
        ),
        (
            """touch ${0%/*}/java
            [ $1 = -c ] && echo ${0%/bin/python} && exit
            [ $AWS_IGNORE_CONFIGURED_ENDPOINT_URLS = true ] && echo '{"confirmed": 0, "unconfirmed": 2}'""",
            "Spark has written 2 findings, of which 0 are here: set TMPDIR to a folder that this machine and all "
            "workers share, or use --master 'local[*]'",
        ),
    ],
    ids=["no Spark", "no Java", "no PySpark", "findings on other machines"],
)
def test_spark_that_is_not_whole_or_not_here_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str | None, text: str
) -> None:
    export = Export(write_export(tmp_path / "x", []), no_s3)
    monkeypatch.setattr(spark, "ENVIRONMENT", tmp_path)
    if python:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/python").write_text(f"#!/bin/sh\n{python}\n")
        (tmp_path / "bin/python").chmod(0o755)
    with pytest.raises(DdbError) as refused:
        spark.check_on("local[2]", prod=True)(export, no_progress)
    assert str(refused.value) == text.format(folder=tmp_path)


def test_memory_does_not_grow_with_messages(tmp_path: Path) -> None:
    peaks: list[int] = []
    for messages in (5_000, 20_000):
        export = Export(write_export(tmp_path / str(messages), [list(long_conversation(messages))]), no_s3)
        with peak_of_memory() as peak:
            contents, findings = check_export(export, no_progress)
        assert (contents.counts.messages, findings) == (messages, [])
        peaks.append(peak())
    assert peaks[1] < 1.1 * peaks[0]
