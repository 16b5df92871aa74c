"""After all other tests, everything is removed. This file stays the last one."""

from tests.aws import removal
from tests.aws.account import Account
from tests.aws.system import System


def test_nothing_is_left(account: Account) -> None:
    """When everything is removed, no resource has the tag of this run, and none its name."""
    # What an adoption has left when it was killed: on the emulator, other tests may run elsewhere.
    System(account, account.name, "dev", f"{account.name}-left").make_table()
    removal.remove_all(account)
    assert removal.find(account) == []
    # The tagging API lists what is deleted for a time.
    account.within(15, "nothing has the tag", lambda: not list(removal.tagged(account)))
