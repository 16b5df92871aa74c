"""The code on docs/backend.md is the code of the example, and the page lists every error."""

import re
import textwrap

from cruddur_infra import REPOSITORY
from cruddur_messages.store import errors

PAGE = REPOSITORY / "docs" / "backend.md"


def test_the_code_on_the_page_is_the_code_of_the_example() -> None:
    shown = re.findall(r"<!-- code of: (\S+) -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(shown) == 2
    for file, code in shown:
        source = (REPOSITORY / file).read_text()
        assert code in source or textwrap.indent(code, "    ") in source, f"{file} has changed: show it as it is"


def test_the_page_lists_every_error_and_its_code() -> None:
    page = PAGE.read_text()
    for error in errors.RejectedError.__subclasses__():
        if error.__module__ == errors.__name__:
            assert f"`{error.__name__}`" in page
            assert f"`{error.code}`" in page
