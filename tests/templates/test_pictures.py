"""The pictures of the documents say what the templates say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cruddur_infra import REPOSITORY
from cruddur_messages import schema
from tools.drawings.architecture import DOCUMENT, EVERY_STACK, documented, draw
from tools.synthesis import Templates, function, only, resources

OVERVIEW = REPOSITORY / "docs/overview.svg"


def labels(templates: Templates) -> set[str]:
    """What the overview, which is drawn by hand, must say about a stage."""
    table = only(templates["table"], "AWS::DynamoDB::Table")["Properties"]
    main = templates["main"]
    mapping = only(main, "AWS::Lambda::EventSourceMapping")["Properties"]
    projection = function(main, "projection")
    return {
        table["TableName"],
        *(f"index {index['IndexName']}" for index in table["GlobalSecondaryIndexes"]),
        f"{schema.MESSAGE_PREFIX}  messages",
        f"{schema.GROUP_ROW_PREFIX}  group rows: the inboxes",
        f"{schema.CONVERSATION_PREFIX}  conversation items",
        table["StreamSpecification"]["StreamViewType"],
        f"up to {mapping['BatchSize']} records",
        f"{projection['Runtime']}, {', '.join(projection['Architectures'])}",
        f"{len(resources(main, 'AWS::CloudWatch::Alarm'))} alarms",
    }


def test_the_overview_says_what_prod_has(templates: Callable[..., Templates]) -> None:
    picture = OVERVIEW.read_text()
    missing = {label for label in labels(templates("prod")) if f">{label}</text>" not in picture}
    assert missing == set(), "correct these labels in docs/overview.svg"


def test_the_architecture_is_up_to_date(templates: Callable[..., Templates]) -> None:
    document = DOCUMENT.read_text()
    assert documented(document, draw(templates("prod", **EVERY_STACK))) == document, "run make drawing"


@pytest.mark.parametrize("picture", sorted(OVERVIEW.parent.glob("**/*.svg")), ids=lambda path: str(path.name))
def test_no_picture_loads_anything_from_the_web(picture: Path) -> None:
    assert "url(http" not in picture.read_text()
