"""Every policy that applies allows every recorded call."""

import re
from collections.abc import Mapping

from botocore import xform_name
from botocore.session import get_session

from cruddur_infra import LAMBDA_CODE, REPOSITORY
from tests.policies.conftest import Case
from tests.policies.deployed import BACKEND, CANARY, OPERATOR, PROJECTION, SEED
from tests.policies.scenarios import Recording

OPERATIONS = {xform_name(name): name for name in get_session().get_service_model("dynamodb").operation_names}

PACKAGES: Mapping[str, str] = {
    "lambda/cruddur_messages/projection": PROJECTION,
    "lambda/cruddur_messages/store": BACKEND,
    "lambda/cruddur_messages/seed": SEED,
    "lambda/cruddur_messages/canary": CANARY,
    "lambda/cruddur_messages/person": OPERATOR,
    "lambda/cruddur_messages/audit": OPERATOR,
    "cruddur_cli/maintenance": OPERATOR,
}
"""Who runs the code of a package."""


def test_every_call_is_allowed(case: Case) -> None:
    denied = [str(request) for request in case.allowed if not case.policies.allow(request)]
    assert not denied


def test_every_operation_in_the_code_has_been_recorded(recording: Recording) -> None:
    recorded = {(call.principal, call.operation) for call in (*recording.own, *recording.changes)}
    # From a data module, which several packages share.
    assert {(principal, "BatchGetItem") for principal in (PROJECTION, BACKEND, OPERATOR)} <= recorded
    folders = [path for path in (LAMBDA_CODE / "cruddur_messages").iterdir() if (path / "__init__.py").exists()]
    assert {str(path.relative_to(REPOSITORY)) for path in folders} <= PACKAGES.keys()
    for package, principal in PACKAGES.items():
        code = "".join(file.read_text() for file in (REPOSITORY / package).rglob("*.py"))
        called = {name for method, name in OPERATIONS.items() if re.search(rf"client\.{method}\b", code)}
        assert called, package
        assert called - {operation for caller, operation in recorded if caller == principal} == set(), package


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
