"""The system of dev is compared with its templates and destroyed; that of prod deploys, works, and is protected."""

import pytest
from botocore.exceptions import ClientError

from tests.aws.account import Account
from tests.aws.system import System

only_prod = pytest.mark.only_on_aws("the emulator runs the stage local alone, and ignores deletion protection")


def test_nothing_drifts(dev: System) -> None:
    """No resource drifts from its template, after all that was changed by hand is restored."""
    dev.require_no_drift()


def test_destroys(dev: System, account: Account) -> None:
    """`cdk destroy --all` removes stacks and table."""
    dev.cdk("destroy", "--all", "--force")
    assert dev.stacks() == []
    assert dev.table_name not in account.pages("dynamodb", "list_tables", "TableNames")


@only_prod
def test_prod_works(prod: System) -> None:
    """The stacks of prod deploy, every message reaches every inbox, and nothing drifts."""
    prod.require_smoke(messages=20)
    prod.require_no_drift()


@only_prod
def test_prod_is_protected(prod: System) -> None:
    """Neither the table of prod nor its stack can be deleted by mistake."""
    client = prod.account.client
    with pytest.raises(ClientError, match="ValidationError"):
        client("cloudformation").delete_stack(StackName=f"{prod.stack}-table")
    with pytest.raises(ClientError, match="ValidationException"):
        client("dynamodb").delete_table(TableName=prod.table_name)
