"""`make screenshot`: the picture of the messages page that the README shows, from a system of its own."""

import hashlib
import sys
import tempfile
from pathlib import Path

from PIL import Image, PngImagePlugin
from playwright.sync_api import Browser, expect

from cruddur_infra import REPOSITORY
from tests.pages.browser import NoChromiumError, chromium, window
from tests.pages.server import serving

PICTURE = REPOSITORY / "docs" / "messages-page.png"
PAGE = REPOSITORY / "examples" / "backend" / "web"
FINGERPRINT = "page"
"""The name of the picture's text field with the fingerprint of the page."""

MESSAGE = "Thursday at eight, then. I bring the pencils."


def fingerprint() -> str:
    """A hash of the page's files."""
    files = sorted(PAGE.iterdir())
    return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()


def take(browser: Browser, address: str, picture: Path) -> None:
    """Send a message into the oldest conversation, and take the picture when its rows have moved."""
    brown = window(browser, address, "andrewbrown")
    brown.open("Tomas Lindqvist")
    brown.page.get_by_role("switch").check()
    brown.send(MESSAGE)
    expect(brown.page.locator("#rows .new")).to_have_count(2)
    expect(brown.inbox.first).to_contain_text(MESSAGE)
    brown.page.screenshot(path=picture)


def main() -> None:
    """Take the picture again; without a Chromium, print one line."""
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "taken.png"
        try:
            with chromium() as browser, serving(Path(folder)) as server:
                take(browser, server.address, taken)
        except NoChromiumError as missing:
            sys.exit(f"error: {missing}")
        note = PngImagePlugin.PngInfo()
        note.add_text(FINGERPRINT, fingerprint())
        with Image.open(taken) as picture:
            picture.convert("P", palette=Image.Palette.ADAPTIVE).save(PICTURE, pnginfo=note, optimize=True)


if __name__ == "__main__":
    main()
