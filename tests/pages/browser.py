"""The Chromium of this machine, and windows with the messages page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Dialog, Locator, Page, expect, sync_playwright

VARIABLE = "CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

HANG_MILLISECONDS = 120_000
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 800}


class NoChromiumError(Exception):
    """There is no Chromium on this machine; the text says what to do."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The headless browser. Raises NoChromiumError."""
    path = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise NoChromiumError(f"no Chromium on this machine: apt-get install chromium, or name it in {VARIABLE}")
    with sync_playwright() as driver:
        expect.set_options(timeout=HANG_MILLISECONDS)
        browser = driver.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@dataclass
class Window:
    """A user's messages page; `wrong` has the errors of the page."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    @property
    def inbox(self) -> Locator:
        """The lines of the inbox."""
        return self.page.locator("#inbox li")

    @property
    def texts(self) -> Locator:
        """The texts of the open conversation."""
        return self.page.locator("#messages .text")

    def button(self, name: str) -> Locator:
        """The buttons whose name has these words."""
        return self.page.get_by_role("button", name=name)

    def answer(self, question: str, answer: str) -> None:
        """Answer a question, and wait until that is done."""
        asked = self.page.get_by_role("alertdialog")
        expect(asked).to_contain_text(question)
        asked.get_by_role("button", name=answer).click()
        expect(asked).to_be_hidden()

    def add(self, name: str) -> None:
        """Add a person to the open conversation."""
        self.button("Add people").click()
        self.page.get_by_role("dialog").get_by_label(name).check()
        self.page.get_by_role("button", name="Add", exact=True).click()

    def dismiss(self, dialog: Dialog) -> None:
        """Record a dialog that a script has opened, and close it."""
        self.wrong.append(dialog.message)
        dialog.dismiss()

    def open(self, name: str) -> None:
        """Open the conversation with people of exactly these names."""
        self.page.locator("#inbox a", has=self.page.get_by_text(name, exact=True)).click()
        expect(self.page.locator("#with")).to_have_text(name)

    def start(self, message: str, *names: str) -> None:
        """Start a conversation."""
        self.button("New").click()
        for name in names:
            self.page.get_by_role("dialog").get_by_label(name).check()
        self.page.get_by_label("First message").fill(message)
        self.button("Start").click()
        expect(self.texts.last).to_have_text(message)

    def send(self, message: str) -> None:
        """Write a message, press Enter, and wait until it is accepted."""
        self.page.locator("#text").fill(message)
        self.page.locator("#text").press("Enter")
        expect(self.page.locator("#text")).to_have_value("")


def window(browser: Browser, address: str, handle: str, **options: Any) -> Window:
    """A window for a user, once the inbox is loaded."""
    page = browser.new_context(**{"viewport": WIDE, **options}).new_page()
    page.set_default_timeout(HANG_MILLISECONDS)
    opened = Window(page)
    page.on("pageerror", lambda error: opened.wrong.append(str(error)))
    page.on("dialog", opened.dismiss)
    page.goto(f"{address}?as={handle}")
    expect(page.locator("#me")).to_have_value(handle)
    return opened
