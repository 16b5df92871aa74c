"""After all other tests, everything is removed. This file stays the last one."""

from cruddur_cli import table_definition
from tests.aws import removal
from tests.aws.account import TAG, Account


def test_nothing_is_left(account: Account) -> None:
    """When everything is removed, no resource has the tag of this run, and none its name."""
    # What an adoption has left when it was killed: on the emulator, other tests may run elsewhere.
    dynamodb, name = account.client("dynamodb"), f"{account.name}-left"
    table_definition.create(dynamodb, name)
    arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": TAG, "Value": account.name}])
    removal.remove_all(account, lambda _: None)
    assert removal.find(account) == []
    left: list[str] = []

    def is_empty() -> bool:
        left[:] = removal.tagged(account)
        return not left

    # The tagging API lists what is deleted for a time.
    try:
        account.within(15, "nothing has the tag", is_empty)
    except AssertionError:
        raise AssertionError(left) from None
