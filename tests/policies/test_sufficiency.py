"""Every policy that applies allows every recorded call."""

import re
from collections.abc import Mapping

import botocore.session
from botocore import xform_name

from cruddur_infra import LAMBDA_CODE
from tests.policies.conftest import Case
from tests.policies.deployed import BACKEND, CANARY, OPERATOR, PROJECTION, SEED
from tests.policies.scenarios import Recording

OPERATIONS = tuple(
    xform_name(name) for name in botocore.session.get_session().get_service_model("dynamodb").operation_names
)
CALLED_BY_FILE: Mapping[str, set[str]] = {
    "access.py": {"batch_get_item", "get_item", "query"},
    "dynamodb.py": {"batch_get_item"},
    "editing.py": {"delete_item", "get_item", "update_item"},
    "erase.py": {"transact_write_items"},
    "membership.py": {"transact_write_items"},
    "message_store.py": {"put_item", "transact_write_items"},
    "reading.py": {"update_item"},
    "reader.py": {"get_item", "query"},
    "refresh.py": {"update_item"},
    "traces.py": {"get_item", "query"},
    "run.py": {"delete_item", "put_item", "query", "transact_write_items"},
    "load.py": {"batch_write_item", "query"},
    "table.py": {"batch_get_item", "get_item", "query", "transact_write_items", "update_item"},
}


def test_every_call_is_allowed(case: Case) -> None:
    denied = [str(request) for request in case.allowed if not case.policies.allow(request)]
    assert not denied


def test_every_operation_in_the_code_has_been_recorded(recording: Recording) -> None:
    called = {(call.principal, call.operation) for call in (*recording.own, *recording.changes)}
    assert called == {
        (PROJECTION, "GetItem"),
        (PROJECTION, "Query"),
        (PROJECTION, "BatchGetItem"),
        (PROJECTION, "UpdateItem"),
        (PROJECTION, "TransactWriteItems"),
        (SEED, "Query"),
        (SEED, "BatchWriteItem"),
        (CANARY, "Query"),
        (CANARY, "PutItem"),
        (CANARY, "DeleteItem"),
        (CANARY, "TransactWriteItems"),
        (BACKEND, "Query"),
        (BACKEND, "GetItem"),
        (BACKEND, "BatchGetItem"),
        (BACKEND, "PutItem"),
        (BACKEND, "UpdateItem"),
        (BACKEND, "DeleteItem"),
        (BACKEND, "TransactWriteItems"),
        (OPERATOR, "Scan"),
        (OPERATOR, "DescribeTable"),
        (OPERATOR, "GetItem"),
        (OPERATOR, "Query"),
        (OPERATOR, "BatchGetItem"),
        (OPERATOR, "UpdateItem"),
        (OPERATOR, "TransactWriteItems"),
    }
    in_code = {
        file.name: {name for name in OPERATIONS if re.search(rf'client\.{name}\b|_call\("{name}"', file.read_text())}
        for file in (LAMBDA_CODE / "cruddur_messages").rglob("*.py")
    }
    assert {name: operations for name, operations in in_code.items() if operations} == CALLED_BY_FILE


def test_every_kind_of_action_in_a_transaction_has_been_recorded(recording: Recording) -> None:
    kinds = {
        (call.principal, kind, element.get("Item", element.get("Key"))["pk"]["S"].partition("#")[0])
        for call in (*recording.own, *recording.changes)
        if call.operation == "TransactWriteItems"
        for action in call.parameters["TransactItems"]
        for kind, element in action.items()
    }
    assert kinds == {
        (PROJECTION, "Put", "GRP"),
        (PROJECTION, "Delete", "GRP"),
        (PROJECTION, "Update", "CONV"),
        (CANARY, "Put", "GRP"),
        (CANARY, "Put", "MSG"),
        (CANARY, "Put", "PAIR"),
        (BACKEND, "Put", "GRP"),
        (BACKEND, "Put", "MSG"),
        (BACKEND, "Put", "PAIR"),
        (BACKEND, "Update", "MEMBER"),
        (BACKEND, "Delete", "GRP"),
        (OPERATOR, "ConditionCheck", "MEMBER"),
        *((OPERATOR, kind, item) for kind in ("Put", "Delete") for item in ("GRP", "MSG")),
        (OPERATOR, "Update", "CONV"),
        (OPERATOR, "Update", "MEMBER"),
        (OPERATOR, "Delete", "PAIR"),
    }
