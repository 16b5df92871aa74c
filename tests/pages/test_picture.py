"""The picture in the README shows the present page."""

from PIL import Image

from cruddur_infra import REPOSITORY
from tests.pages.screenshot import FINGERPRINT, PICTURE, fingerprint


def test_the_picture_shows_the_present_page() -> None:
    with Image.open(PICTURE) as picture:
        assert picture.info.get(FINGERPRINT) == fingerprint(), "the page has changed: run make screenshot"


def test_the_readme_shows_it() -> None:
    assert f"({PICTURE.relative_to(REPOSITORY)})" in (REPOSITORY / "README.md").read_text()
