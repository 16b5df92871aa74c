"""The code on docs/backend.md is code that runs: the bootcamp's functions, on this library."""

import re
from pathlib import Path
from typing import Any

from cruddur_messages.items import User
from cruddur_messages.store import errors
from tests.access_patterns.people import person, store_of
from tests.engines.fixtures import CruddurTable

PAGE = Path(__file__).parents[2] / "docs" / "backend.md"


def code_of_the_page() -> str:
    (functions,) = (
        block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "def " in block
    )
    return str(functions)


def test_the_functions_answer_as_the_bootcamps_do(cruddur_table: CruddurTable) -> None:
    lib: dict[str, Any] = {"store": store_of(cruddur_table), "User": User}
    exec(code_of_the_page(), lib)  # noqa: S102
    ann, bo = person("ann"), person("bo")
    group = lib["create_message_group"]("hello", ann, bo)["message_group_uuid"]
    sent = lib["create_message"](group, "hi", bo.uuid, bo.display_name, bo.handle)
    assert sent.keys() == {"message_group_uuid", "uuid", "display_name", "handle", "message", "created_at"}
    (line,) = lib["list_message_groups"](ann.uuid)
    assert (line["uuid"], line["display_name"], line["handle"]) == (group, "Bo", "bo")
    assert line.keys() == {"uuid", "display_name", "handle", "message", "created_at"}
    messages = lib["list_messages"](group, ann.uuid)
    assert [(message["handle"], message["message"]) for message in messages] == [("ann", "hello"), ("bo", "hi")]
    assert messages[0].keys() == {"uuid", "display_name", "handle", "message", "created_at"}


def test_the_page_knows_every_error_and_its_code() -> None:
    page = PAGE.read_text()
    for error in errors.RejectedError.__subclasses__():
        assert f"`{error.__name__}`" in page
        assert f"`{error.code}`" in page
