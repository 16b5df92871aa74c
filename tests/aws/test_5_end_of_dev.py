"""The system with the settings of dev is compared with its templates, and destroyed."""

from tests.aws.account import Account
from tests.aws.system import System


def test_nothing_drifts(dev: System) -> None:
    """No resource drifts from its template, after all that was changed by hand is restored."""
    dev.require_no_drift()


def test_destroys(dev: System, account: Account) -> None:
    """`cdk destroy --all` removes stacks and table."""
    dev.cdk("destroy", "--all", "--force")
    assert dev.stacks() == []
    assert dev.table_name not in account.pages("dynamodb", "list_tables", "TableNames")
