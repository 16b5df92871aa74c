"""A batch: what is reported to Lambda, and what is logged."""

from typing import Any

import pytest

from cruddur_messages import log
from cruddur_messages.projection import handler
from cruddur_messages.projection.batch import handle_batch
from tests.unit.projection.case import DAYS, Case, message, number_of, row

pytestmark = pytest.mark.check


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": []}, {"Records": "text"}])
def test_an_event_without_records_is_a_success(event: dict[str, object]) -> None:
    case = Case()
    settle_all = case.projection().settle_all
    assert handle_batch(event, settle_all=settle_all, emit=log.emit, clock=lambda: 0.0) == {"batchItemFailures": []}
    assert case.calls == []


def test_the_log_has_counts_and_ids_but_no_text() -> None:
    case = Case()
    secret = "secret"
    rows = [row("a", "b", user_display_name={"S": secret}), row("b", "a", user_handle={"S": secret})]
    records: list[Any] = case.put(*rows, message(text=secret))
    records[-1]["dynamodb"]["ApproximateCreationDateTime"] = 97.5
    case.handle([*records, {"dynamodb": {}}])
    assert secret not in str(case.lines)
    assert [line["event"] for line in case.lines] == ["record_unusable", "batch_settled"]
    expected = {"rows_moved": 2, "records": 3, "records_unusable": 1, "conversations_settled": 1, "lag_seconds": 2.5}
    assert case.lines[-1].items() >= expected.items()


def test_each_oddity_has_a_line_of_its_own() -> None:
    case = Case()
    case.handle(case.put(row("a"), message(), {**message(DAYS[3]), "message": {"N": "1"}}))
    case.refusal = "AccessDeniedException"
    case.handle(case.put(message(DAYS[3], "later")))
    events = [(line["event"], line.get("malformed_messages"), line.get("failure")) for line in case.lines]
    assert events[0] == ("conversation_odd", 1, None)
    assert events[2] == ("conversation_failed", 0, "refused: AccessDeniedException")


def test_the_entry_settles_on_the_client_and_in_the_time_given() -> None:
    case = Case()
    records = case.put(row("a"), message(), message(group="h"))
    client: Any = case
    given = {"client": client, "table_name": "t"}
    failed = [{"itemIdentifier": number_of(one)} for one in records]
    for seconds in (-1.0, 0.0):
        assert handler.respond({"Records": records}, seconds=seconds, **given) == {"batchItemFailures": failed}
    assert case.calls == []
    assert handler.respond({"Records": records}, seconds=1.0, **given) == {"batchItemFailures": []}
    assert case.shown() == {"a": "new"}
