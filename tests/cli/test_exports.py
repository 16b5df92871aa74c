"""A table is exported, checked from its export, and repaired from the findings, on real engines."""

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ReadTimeoutError

from cruddur_cli.maintenance import scan, table_export
from cruddur_cli.maintenance.progress import no_progress
from cruddur_cli.maintenance.verify import check_export
from cruddur_messages.audit.checks import Problem, check_table
from cruddur_messages.audit.export import Export
from cruddur_messages.audit.snapshot import TableSnapshot
from tests.access_patterns.people import BetweenCalls, items_of, rows_of
from tests.access_patterns.test_conversations import delete_rows
from tests.access_patterns.test_paging import put_row
from tests.audit.exports import no_s3
from tests.cli.conftest import At
from tests.cli.test_repair import healthy_pair, put_item
from tests.engines.fixtures import CruddurTable


def damaged(table: CruddurTable) -> Any:
    """Two conversations without a row, and a row that names no conversation."""
    people = [healthy_pair(table)[2] for _ in range(2)]
    delete_rows(table, *people)
    put_item(table, {"pk": {"S": f"GRP#{people[0].uuid}"}, "sk": {"S": "2026"}, "raw": {"B": b"\x00\xff"}})
    return people


def test_an_export_has_every_item_and_its_check_finds_what_a_scan_finds(
    at: At, cruddur_table: CruddurTable, tmp_path: Path
) -> None:
    damaged(cruddur_table)
    folder = str(tmp_path / "backup")
    assert at(cruddur_table, "export-table", folder).status == 0
    export = Export(folder, no_s3)
    table = TableSnapshot()
    table.add(items_of(cruddur_table))
    contents, findings = check_export(export, no_progress)
    assert (contents, sorted(findings)) == (table.contents, sorted(check_table(table)))
    by_scan, by_export = (at(cruddur_table, "verify", "--json", *more).json for more in ([], ["--export", folder]))
    assert by_export == by_scan
    assert by_scan["problems"][Problem.MISSING_ROW] == 2
    again = at(cruddur_table, "export-table", folder)
    assert (again.status, again.err) == (1, f"ddb: {folder} holds a finished export: name another folder\n")


def test_what_an_export_still_shows_is_read_again_before_it_is_reported_and_repaired(
    at: At, cruddur_table: CruddurTable, tmp_path: Path
) -> None:
    first, second = damaged(cruddur_table)
    folder, file = str(tmp_path / "backup"), tmp_path / "findings.jsonl"
    at(cruddur_table, "export-table", folder)
    words = ("verify", "--export", folder, "--findings", str(file))
    assert at(cruddur_table, *words, "--offline").status == 1
    assert {line["confirmed"] for line in map(json.loads, file.read_text().splitlines())} == {False}
    put_row(cruddur_table, first, "2020-01-01T00:00:00+00:00", str(uuid.uuid4()), message="x")
    rebuilt = at(cruddur_table, "rebuild", "--findings", str(file))
    assert (rebuilt.status, "what is left cannot be repaired automatically" in rebuilt.err) == (1, True)
    inboxes = Counter(item["pk"]["S"] for item in items_of(cruddur_table))
    # The row of a conversation that the file does not name, and the malformed one, are left as they are.
    assert (inboxes[f"GRP#{first.uuid}"], inboxes[f"GRP#{second.uuid}"]) == (3, 1)
    assert any(item["sk"]["S"].startswith("2020") for item in items_of(cruddur_table))
    assert at(cruddur_table, *words).status == 1
    left = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["problem"], line["member_uuid"], line["confirmed"]) for line in left] == [
        ("malformed item", first.uuid, True)
    ]
    assert len(at(cruddur_table, "verify", "--json").json["problems"]) > 1


def test_whoever_left_since_the_export_is_not_put_back(at: At, cruddur_table: CruddurTable, tmp_path: Path) -> None:
    group, _, bo = healthy_pair(cruddur_table)
    delete_rows(cruddur_table, bo)
    file = tmp_path / "findings.jsonl"
    assert at(cruddur_table, "verify", "--findings", str(file)).status == 1
    left = {"pk": {"S": f"MEMBER#{bo.uuid}"}, "sk": {"S": group}, "left_at": {"S": "2026-01-01T00:00:00+00:00"}}
    put_item(cruddur_table, left)
    assert at(cruddur_table, "rebuild", "--findings", str(file)).status == 0
    assert at(cruddur_table, "rebuild").status == 0
    assert rows_of(cruddur_table, bo) == []


@pytest.mark.parametrize("dies_at", range(1, 8))
def test_an_interrupted_export_is_continued(
    ministack_table: CruddurTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    for _ in range(4):
        healthy_pair(ministack_table)
    monkeypatch.setattr(table_export, "ITEMS_AT_ONCE", 4)
    monkeypatch.setattr(table_export, "SEGMENTS", 2)
    read: list[int] = []

    class OnePage(BetweenCalls):
        def scan(self, **arguments: Any) -> Any:
            read.append(arguments["Segment"])
            if len(read) == dies_at:
                raise KeyboardInterrupt
            return ministack_table.client.scan(**arguments, Limit=1)

    client: Any = OnePage(ministack_table.client)
    arguments: Any = {"client": client, "table_name": ministack_table.name, "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        table_export.TableExport(**arguments).run()
    with (tmp_path / table_export.NOTES).open("a") as notes:
        notes.write('{"segment": 0, "la')
    assert table_export.TableExport(**arguments).run() == len(items_of(ministack_table))
    table = TableSnapshot()
    table.add(items_of(ministack_table))
    export = Export(str(tmp_path), no_s3)
    assert check_export(export, no_progress)[0] == table.contents
    assert max(file.items for file in export.files) == 2


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ('{"tableArn": "arn:other"}\n', "has a part of another table (arn:other): name another folder"),
        ("hello\n", "is not what an interrupted run has left: name another folder"),
        ("5\n", "is not what an interrupted run has left"),
        ("[" * 9999 + "\n", "is not what an interrupted run has left"),
        ("", "Read timeout on endpoint URL"),
    ],
)
def test_an_export_into_other_contents_or_without_a_response_is_one_line(
    at: At, ministack_table: CruddurTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: str, said: str
) -> None:
    (tmp_path / table_export.NOTES).write_text(notes)
    monkeypatch.setattr(table_export, "pages", Mock(side_effect=ReadTimeoutError(endpoint_url="http://dynamodb")))
    result = at(ministack_table, "export-table", str(tmp_path))
    assert (result.status, said in result.err, result.err.count("\n")) == (1, True, 1), result.err


def test_an_error_in_one_segment_ends_the_others() -> None:
    def work(number: int, stopped: Any) -> None:
        if number:
            raise RuntimeError("full")
        assert stopped.wait(60)

    with pytest.raises(RuntimeError, match="full"):
        scan.in_parallel(work, range(2))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--offline",), "check an export: name it with --export"),
        (("--engine", "spark"), "check an export: name it with --export"),
        (("--export", "{folder}", "--master", "local[2]"), "--master goes with --engine spark"),
        (("--export", "{folder}/nothing"), "manifest-summary.json cannot be opened (No such file or directory)"),
        (("--export", "{folder}", "--engine", "spark", "--offline"), "is not installed here: run make spark"),
        (("--export", "{folder}", "--findings", "{folder}", "--offline"), "cannot be written (Is a directory)"),
    ],
)
def test_a_wrong_use_is_one_line(
    at: At, ministack_table: CruddurTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Any, said: str
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setattr("cruddur_cli.maintenance.spark.ENVIRONMENT", tmp_path / "spark")
    folder = str(tmp_path / "backup")
    at(ministack_table, "export-table", folder)
    result = at(ministack_table, "verify", *(word.format(folder=folder) for word in words))
    assert result.status in (1, 2)
    assert said in " ".join(result.err.split())


def test_a_file_that_holds_no_findings_is_refused(at: At, ministack_table: CruddurTable, tmp_path: Path) -> None:
    file = tmp_path / "x"
    for line in ('{"problem": "nonsense"}\n', "[" * 9999):
        file.write_text(line)
        assert f"line 1 of {file} is not a finding" in at(ministack_table, "rebuild", "--findings", str(file)).err
    assert "cannot be read" in at(ministack_table, "rebuild", "--findings", str(tmp_path / "y")).err
    assert f"{tmp_path} has no file *.jsonl" in at(ministack_table, "rebuild", "--findings", str(tmp_path)).err
