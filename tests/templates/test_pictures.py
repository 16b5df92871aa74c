"""The pictures of the README: the overview matches the templates, the terminals the recordings."""

from collections.abc import Callable

import pytest

from tools.drawings import overview, terminal
from tools.template import Templates


def test_the_overview_is_up_to_date(templates: Callable[..., Templates]) -> None:
    drawing = overview.draw(templates("prod"))
    assert overview.PICTURE.read_text() == drawing, "the picture is stale; run python -m tools.drawings.overview"


def test_the_overview_would_notice_a_change(templates: Callable[..., Templates]) -> None:
    changed = overview.draw(templates("prod", batch_size="77"))
    assert "up to 77 records" in changed
    assert overview.PICTURE.read_text() != changed


def test_the_overview_follows_the_colour_scheme(templates: Callable[..., Templates]) -> None:
    assert "@media (prefers-color-scheme: dark)" in overview.draw(templates("prod"))


@pytest.mark.parametrize("recording", terminal.RECORDINGS, ids=lambda recording: recording.command)
def test_the_terminal_is_up_to_date(recording: terminal.Recording) -> None:
    drawing = terminal.draw(recording)
    assert recording.picture.read_text() == drawing, "the picture is stale; run python -m tools.drawings.terminal"
    assert "@font-face" not in drawing, "the picture loads a font from the web"
