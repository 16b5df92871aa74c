"""The schedules told by hand (stories.py) end well."""

from collections.abc import Callable

import pytest

from tests.projection.stories import STORIES

pytestmark = pytest.mark.check


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_story_ends_well(story: Callable[[], None]) -> None:
    story()
