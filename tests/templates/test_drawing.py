"""The drawing of the architecture matches the templates."""

from collections.abc import Callable

from tools.drawings.architecture import DOCUMENT, EVERY_STACK, documented, draw
from tools.template import Templates


def test_it_is_up_to_date(templates: Callable[..., Templates]) -> None:
    drawing = draw(templates("prod", **EVERY_STACK))
    document = DOCUMENT.read_text()
    assert documented(document, drawing) == document, "the drawing is stale; run make drawing"


def test_it_would_notice_a_change(templates: Callable[..., Templates]) -> None:
    changed = draw(templates("prod", **EVERY_STACK, batch_size="77"))
    document = DOCUMENT.read_text()
    assert "77 records" in changed
    assert documented(document, changed) != document
