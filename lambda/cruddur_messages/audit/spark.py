"""The check of an export on Spark: files are folded side by side, and merged by conversation and by inbox.

It runs on this machine, on a cluster, and on AWS Glue as it is. `python -m cruddur_messages.audit.spark --help`
"""

import argparse
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
from pyspark import SparkConf, SparkContext

from cruddur_messages.audit import METRIC, SYSTEM_DIMENSION
from cruddur_messages.audit.checks import Finding, check_conversation, check_inbox
from cruddur_messages.audit.confirm import MOST_READ_AGAIN, confirm, place_of
from cruddur_messages.audit.export import S3, DataFile, Export, ExportError
from cruddur_messages.audit.reader import ConversationReader
from cruddur_messages.audit.snapshot import ConversationSnapshot, Counts, InboxSnapshot

CONVERSATION, INBOX, COUNTS = "conversation", "inbox", "counts"
ITEMS_PER_PARTITION = 250_000

Part = tuple[tuple[str, str], Any]
"""Kind and id, and the snapshot: all have `merge`."""


def check(context: SparkContext, export: Export, *, partitions: int | None = None) -> Any:
    """The checked table, as an RDD: a Finding for each broken promise, None for each conversation, and the Counts."""
    files = context.parallelize(export.files, max(len(export.files), 1))
    merged = files.flatMap(lambda file: _parts(export, file)).reduceByKey(
        _merge, partitions or 1 + export.items // ITEMS_PER_PARTITION, _stable_hash
    )
    return merged.flatMap(_check)


def run(
    context: SparkContext, export: Export, output: str, *, table_name: str | None, partitions: int | None = None
) -> dict[str, Any]:
    """Write the findings to files `<number>.jsonl` in the folder `output`, confirmed ones in the first; returns counts.

    With `table_name` at most MOST_READ_AGAIN conversations and inboxes are read again, without it none.
    """
    checked = check(context, export, partitions=partitions)
    found = checked.filter(lambda value: isinstance(value, Finding))
    again, others, confirmed = list[Finding](), found, list[Finding]()
    if table_name:
        chosen = set(found.map(place_of).distinct().takeOrdered(MOST_READ_AGAIN))
        again = found.filter(lambda finding: place_of(finding) in chosen).collect()
        others = found.filter(lambda finding: place_of(finding) not in chosen)
        reader = ConversationReader(client=boto3.client("dynamodb"), table_name=table_name)
        confirmed = confirm(reader, again)
    _write(output, 0, (finding.to_json(confirmed=True) for finding in confirmed))

    def write(number: int, part: Iterable[Finding]) -> Iterator[int]:
        _write(output, 1 + number, (finding.to_json(confirmed=False) for finding in part))
        yield number

    others.mapPartitionsWithIndex(write).count()
    counts, conversations, findings = checked.aggregate((Counts(), 0, 0), _count, _add)
    return {
        "confirmed": len(confirmed),
        "unconfirmed": findings - len(again),
        "conversations": conversations,
        "counts": vars(counts),
    }


Totals = tuple[Counts, int, int]
"""The items by kind, the conversations, and the findings."""


def _count(totals: Totals, value: Finding | Counts | None) -> Totals:
    counts, conversations, findings = totals
    match value:
        case Counts():
            return _merge(counts, value), conversations, findings
        case None:
            return counts, conversations + 1, findings
    return counts, conversations, findings + 1


def _add(one: Totals, other: Totals) -> Totals:
    return _merge(one[0], other[0]), one[1] + other[1], one[2] + other[2]


def _parts(export: Export, file: DataFile) -> Iterator[Part]:
    for fold in export.folds(file):
        yield (COUNTS, ""), fold.counts
        yield from (((CONVERSATION, group), conversation) for group, conversation in fold.conversations.items())
        yield from (((INBOX, member), inbox) for member, inbox in fold.inboxes.items() if inbox.form or inbox.malformed)


def _write(output: str, number: int, lines: Iterable[str]) -> None:
    """Write a file of findings, unless there is none; a task that runs again replaces it."""
    content = "".join(f"{line}\n" for line in lines).encode()
    if not content:
        return
    name = f"{number:05}.jsonl"
    if output.startswith(S3):
        bucket, _, prefix = output.removeprefix(S3).partition("/")
        _s3().put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=content)
    else:
        Path(output).mkdir(parents=True, exist_ok=True)
        unfinished = Path(output, f"{name}.{os.getpid()}")
        unfinished.write_bytes(content)
        unfinished.replace(Path(output, name))


def _s3() -> Any:
    return boto3.client("s3")


def _merge(one: Any, other: Any) -> Any:
    one.merge(other)
    return one


def _stable_hash(key: tuple[str, str]) -> int:
    """The same in every process, unlike `hash`."""
    return zlib.crc32("/".join(key).encode(errors="surrogatepass"))


def _check(part: Part) -> Iterator[Finding | Counts | None]:
    (_, name), snapshot = part
    match snapshot:
        case ConversationSnapshot():
            yield from check_conversation(name, snapshot)
            if snapshot.exists:
                yield None
        case InboxSnapshot():
            yield from check_inbox(name, snapshot)
        case Counts():
            yield snapshot


def main(arguments: Sequence[str]) -> int:
    """Run the job; its last line is a JSON document with counts, or `error:` and what is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--location", required=True, help="the folder or the s3:// prefix of the manifests")
    parser.add_argument("--output", required=True, help="the new folder or s3:// prefix for the findings")
    parser.add_argument("--table", help="the table to read again what looks wrong; without it nothing is")
    parser.add_argument("--partitions", type=int)
    parser.add_argument("--system", help="the namespace and the dimension of the metric of findings; without it none")
    # Glue adds arguments of its own.
    given, _ = parser.parse_known_args(arguments)
    try:
        export = Export(given.location, _s3)
        context = SparkContext.getOrCreate(SparkConf().setAppName("cruddur-messages audit"))
        counts = run(context, export, given.output, table_name=given.table, partitions=given.partitions)
    except Exception as error:
        # The error of a task arrives as text, in the trace of several processes.
        lines = [line.rpartition("ExportError: ")[2] for line in str(error).splitlines() if "ExportError: " in line]
        if not lines and not isinstance(error, ExportError):
            raise
        sys.stderr.write(f"error: {lines[0] if lines else error}\n")
        return 1
    if given.system:
        boto3.client("cloudwatch").put_metric_data(
            Namespace=given.system,
            MetricData=[
                {
                    "MetricName": METRIC,
                    "Dimensions": [{"Name": SYSTEM_DIMENSION, "Value": given.system}],
                    "Value": counts["confirmed"] + counts["unconfirmed"],
                }
            ],
        )
    sys.stdout.write(json.dumps(counts) + "\n")
    return 0


if __name__ == "__main__" and (status := main(sys.argv[1:])):
    # AWS does not say whether Glue takes SystemExit(0) for a success.
    sys.exit(status)
