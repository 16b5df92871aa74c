"""The pictures of the documents say what the templates say."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cruddur_infra import REPOSITORY
from cruddur_messages import schema
from tools.drawing import DOCUMENT, drawn, values
from tools.synthesis import EVERY_STACK, Templates, resources

OVERVIEW = REPOSITORY / "docs/overview.svg"


def test_the_overview_which_is_drawn_by_hand_says_what_prod_has(templates: Callable[..., Templates]) -> None:
    prod = values(templates("prod", **EVERY_STACK))
    labels = {
        prod["table"],
        f"index {prod['index']}",
        f"{schema.MESSAGE_PREFIX}  messages",
        f"{schema.GROUP_ROW_PREFIX}  group rows: the inboxes",
        f"{schema.CONVERSATION_PREFIX}  conversation items",
        prod["view"],
        f"up to {prod['batch']} records",
        prod["runtime"],
        f"{prod['alarms']} alarms",
    }
    picture = OVERVIEW.read_text()
    assert {label for label in labels if f">{label}</text>" not in picture} == set(), "correct these labels in it"


def test_the_architecture_is_up_to_date(templates: Callable[..., Templates]) -> None:
    document = DOCUMENT.read_text()
    assert drawn(document, templates("prod", **EVERY_STACK)) == document, "run make drawing"


def test_the_architecture_has_every_stack_and_every_role_of_the_delivery(templates: Callable[..., Templates]) -> None:
    prod, document = templates("prod", **EVERY_STACK), DOCUMENT.read_text()
    assert set(re.findall(r'subgraph \w+\["(\w+) stack"\]', document)) == prod.keys()
    roles = resources(prod["delivery"], "AWS::IAM::Role").values()
    names = {role["Properties"]["Policies"][0]["PolicyName"].lower() for role in roles}
    assert set(re.findall(r'role_\w+\["role (\w+)"\]', document)) == names


@pytest.mark.parametrize("picture", sorted(OVERVIEW.parent.glob("**/*.svg")), ids=lambda path: str(path.name))
def test_no_picture_loads_anything_from_the_web(picture: Path) -> None:
    assert "url(http" not in picture.read_text()
