"""Made-up people.

The ids of people, conversations and messages begin with `schema.SMOKE_UUID_PREFIX`, so that a policy can keep a run
from real people's data.
"""

import uuid

from cruddur_messages import schema
from cruddur_messages.items import User

NAMES = ("Ann", "Bo", "Cy")


def person(name: str) -> User:
    """A made-up person."""
    found = smoke_uuid()
    return User(uuid=found, display_name=f"{name} (made up)", handle=f"{name.lower()}-{found[9:13]}")


def smoke_uuid() -> str:
    """A random id with the prefix of made-up people."""
    return schema.SMOKE_UUID_PREFIX + str(uuid.uuid4())[len(schema.SMOKE_UUID_PREFIX) :]
