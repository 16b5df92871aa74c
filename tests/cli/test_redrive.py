"""The redrive of the failure queue: records that the stream still has are settled; for others the table is rebuilt."""

import io
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cruddur_cli import target
from cruddur_cli.maintenance.redrive import REMAINING, FailedBatch
from cruddur_cli.maintenance.repair import Repair, Repairer, Suspect
from cruddur_messages.projection.records import DirtyConversation
from cruddur_messages.projection.settlement import Settlement
from cruddur_messages.projection.settler import Settler
from tests.access_patterns.people import BetweenCalls, person, rows_of, store_of
from tests.cli.conftest import At, Result
from tests.engines import tables
from tests.engines.fixtures import CruddurTable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class Queue:
    """A failure queue on the emulator."""

    def __init__(self, table: CruddurTable) -> None:
        self.client: SQSClient = boto3.client(
            "sqs",
            endpoint_url=table.endpoint,
            region_name=tables.REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.url = self.client.create_queue(QueueName=f"failures-{table.name}")["QueueUrl"]

    def put(self, body: str) -> None:
        self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def length(self) -> int:
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])


@pytest.fixture
def queue(ministack_table: CruddurTable) -> Queue:
    return Queue(ministack_table)


def notice(stream_arn: str, shard_id: str, first: str, last: str) -> str:
    """A message of the failure queue as Lambda writes it (Developer Guide, "Retain discarded batches for DynamoDB")."""
    return json.dumps(
        {
            "requestContext": {"requestId": "1", "functionArn": "arn", "condition": "RetryAttemptsExhausted"},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
            "version": "1.0",
            "timestamp": "2026-11-20T00:00:00.000Z",
            "DDBStreamBatchInfo": {
                "shardId": shard_id,
                "startSequenceNumber": first,
                "endSequenceNumber": last,
                "approximateArrivalOfFirstRecord": "2026-11-20T00:00:00Z",
                "approximateArrivalOfLastRecord": "2026-11-20T00:00:00Z",
                "batchSize": 2,
                "streamArn": stream_arn,
            },
        }
    )


def batches(table: CruddurTable) -> list[str]:
    """A message for each shard that has records, about all of its records."""
    streams = tables.streams(table.endpoint)
    stream_arn = table.client.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
    found: list[str] = []
    for shard in streams.describe_stream(StreamArn=stream_arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = streams.get_records(ShardIterator=iterator)["Records"]
        if records:
            numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
            found.append(notice(stream_arn, shard["ShardId"], numbers[0], numbers[-1]))
    return found


def unsettled(table: CruddurTable) -> tuple[str, list[Any]]:
    ann, bo = person("ann"), person("bo")
    store = store_of(table)
    group = store.start_conversation([ann, bo], sender=ann, message="one").message_group_uuid
    newest = store.send(group, sender=bo, message="two")
    return newest.sort_key, [ann, bo]


def redrive(at: At, table: CruddurTable, queue: Queue) -> Result:
    return at(table, "redrive", "--queue", queue.url, "--json")


def test_records_that_the_stream_still_has_are_settled(at: At, ministack_table: CruddurTable, queue: Queue) -> None:
    newest, members = unsettled(ministack_table)
    for body in batches(ministack_table):
        queue.put(body)
    assert queue.length() > 0
    result = redrive(at, ministack_table, queue)
    assert result.status == 0, result.err
    assert result.json["removed"] == result.json["messages"] > 0
    assert "rebuilding" not in result.err
    assert [row.sort_key for member in members for row in rows_of(ministack_table, member)] == [newest, newest]
    assert queue.length() == 0


def put_an_old_one(table: CruddurTable, queue: Queue) -> None:
    """A message about records of a stream that is gone."""
    arn = table.client.describe_table(TableName=table.name)["Table"]["LatestStreamArn"]
    queue.put(
        notice(
            arn.rsplit("/", 1)[0] + "/2020-01-01T00:00:00.000",
            "shardId-00000001541626099285-f35f62ef",
            "4421584500000000017450439091",
            "4421584500000000017450439099",
        )
    )


def test_for_records_that_the_stream_no_longer_has_the_table_is_rebuilt(
    at: At, ministack_table: CruddurTable, queue: Queue
) -> None:
    newest, members = unsettled(ministack_table)
    put_an_old_one(ministack_table, queue)
    result = redrive(at, ministack_table, queue)
    assert result.status == 0, result.err
    assert (result.json["removed"], result.json["rebuild"]["ok"]) == (1, True)
    assert "no longer has the records of 1 messages: rebuilding the table" in result.err
    assert [row.sort_key for member in members for row in rows_of(ministack_table, member)] == [newest, newest]
    assert queue.length() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "ddb: not confirmed: '' is not {table}, the table is not rebuilt"),
        (("--yes",), "rebuilding the table"),
    ],
)
def test_unless_the_table_is_right_afterwards_old_messages_stay(
    at: At, ministack_table: CruddurTable, queue: Queue, monkeypatch: pytest.MonkeyPatch, words: Any, said: str
) -> None:
    unsettled(ministack_table)
    for body in batches(ministack_table):
        queue.put(body)
    put_an_old_one(ministack_table, queue)
    item = {"pk": {"S": "GRP#a"}, "sk": {"S": "2026-01-01T00:00:00+00:00"}}
    ministack_table.client.put_item(TableName=ministack_table.name, Item=item)

    def no_longer_in_flight(_number: int, name: str) -> None:
        if name == "change_message_visibility":
            raise ClientError({"Error": {"Code": "InvalidParameterValue"}}, "ChangeMessageVisibility")

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(target.Target, "is_aws", True)
    monkeypatch.setattr(target.Target, "queues", lambda _: BetweenCalls(queue.client, before=no_longer_in_flight))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    result = at(ministack_table, "redrive", "--queue", queue.url, "--json", *words)
    assert result.status == 1
    assert said.format(table=ministack_table.name) in result.err.splitlines()[-1]
    assert (result.json["removed"], result.json[REMAINING], queue.length()) == (result.json["messages"] - 1, 1, 1)


def test_other_messages_and_those_about_another_table_stay(at: At, ministack_table: CruddurTable, queue: Queue) -> None:
    others = ("hello", "[]", "{}", '{"DDBStreamBatchInfo": {}}', '{"DDBStreamBatchInfo": null}', "5", "[" * 9999)
    for body in others:
        queue.put(body)
    queue.put(notice("arn:aws:dynamodb:us-east-1:1:table/other/stream/x", "shard", "1", "2"))
    for first, last in (("one", "2"), ("1", "two")):
        queue.put(notice(f"arn:aws:dynamodb:us-east-1:1:table/{ministack_table.name}/stream/x", "shard", first, last))
    result = redrive(at, ministack_table, queue)
    assert result.status == 1
    assert result.err.count("it is not a notice of a failed stream batch") == len(others) + 2
    assert "it is about other" in result.err
    assert queue.length() == len(others) + 3


def test_a_message_that_cannot_be_settled_stays(
    at: At, ministack_table: CruddurTable, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsettled(ministack_table)
    for body in batches(ministack_table):
        queue.put(body)
    before = queue.length()

    def fail(_self: Settler, conversation: DirtyConversation) -> Settlement:
        return Settlement(conversation.message_group_uuid, "refused: AccessDeniedException")

    def fail_too(_self: Repairer, suspect: Suspect) -> Repair:
        return Repair(suspect.message_group_uuid, failure="refused: AccessDeniedException")

    monkeypatch.setattr(Settler, "settle", fail)
    monkeypatch.setattr(Repairer, "repair", fail_too)
    result = redrive(at, ministack_table, queue)
    assert result.status == 1
    assert "is not settled: refused: AccessDeniedException" in result.err
    assert queue.length() == before


def test_an_empty_queue_changes_nothing_and_a_missing_one_is_one_line(
    at: At, ministack_table: CruddurTable, queue: Queue
) -> None:
    empty = redrive(at, ministack_table, queue)
    assert (empty.status, empty.json) == (0, {})
    missing = at(ministack_table, "redrive", "--queue", queue.url + "-not")
    assert (missing.status, missing.err.splitlines()[-1].startswith("ddb: there is no such queue")) == (1, True)


def test_sequence_numbers_keep_their_leading_zeros() -> None:
    batch = FailedBatch.from_body(notice("arn:aws:dynamodb:r:1:table/t/stream/l", "s", "000123", "000124"))
    assert (batch.first, batch.last, batch.table_name) == ("000123", 124, "t")
