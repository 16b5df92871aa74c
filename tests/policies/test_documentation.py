"""docs/security.md has a reason for every statement, and names no other."""

import re

import botocore.session
import pytest

from cruddur_infra import REPOSITORY
from tests.policies.authorization import ENDPOINT, QUEUE
from tests.policies.deployed import OURS, VARIANTS, deployed

pytestmark = pytest.mark.check

NAMED_BY_CDK = {"unnamed"}


def test_every_statement_has_its_reason() -> None:
    written = {
        statement["Sid"]
        for variant in VARIANTS
        for gate in ({*OURS} & deployed(variant).policies.identities.keys()) | {ENDPOINT, QUEUE}
        for statement in deployed(variant).policies.document(gate)
    }
    page = (REPOSITORY / "docs" / "security.md").read_text()
    section = page.partition("## Every statement")[2].partition("\n## ")[0]
    session = botocore.session.get_session()
    services = ("dynamodb", "dynamodbstreams", "sqs")
    operations = [name for service in services for name in session.get_service_model(service).operation_names]
    explained = set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", section)) - {*operations, "ForAllValues"}
    assert explained == written - NAMED_BY_CDK
