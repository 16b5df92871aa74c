"""The messages page in a real browser, on what `make up` deploys: several windows, and errors."""

import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from cruddur_messages import schema
from cruddur_messages.dynamodb import rows_in_index
from cruddur_messages.items import User, key_attributes
from cruddur_messages.seed.file import USERS_PATH, parse_users
from tests.engines import postgres
from tests.pages.browser import NARROW, NoChromiumError, Window, chromium, window
from tests.pages.server import Server, serving

pytestmark = pytest.mark.proof

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FAY = User("9d1f5c0e-1a2b-4c3d-8e4f-0000000000fa", "Fay", "fay")
"""She talks to nobody."""
EVE = User("9d1f5c0e-1a2b-4c3d-8e4f-0000000000ee", f"Eve {SCRIPT}", "eve")
GIL = User("9d1f5c0e-1a2b-4c3d-8e4f-0000000000a1", "Gil", "gil")
"""He talks in one test only."""
IDA = User("9d1f5c0e-1a2b-4c3d-8e4f-0000000000da", "Ida", "ida")
"""She is erased."""
PEOPLE = (*parse_users(USERS_PATH.read_text()), EVE, FAY, GIL, IDA)
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
    with (
        postgres.running(tmp_path_factory.mktemp("postgres"), dict.fromkeys(PEOPLE, "")) as url,
        serving(tmp_path_factory.mktemp("checkout"), f"DATABASE_URL={url}") as started,
    ):
        yield started


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


def test_fifty_messages_in_a_burst_arrive_in_order_and_older_ones_on_demand(opened: Callable[..., Window]) -> None:
    brown, bayko, late = opened("andrewbrown"), opened("bayko"), opened("bayko")
    brown.open("Andrew Bayko")
    bayko.open("Andrew Brown")
    late.open("Andrew Brown")
    expect(late.texts).to_have_count(40)
    late.page.context.set_offline(True)
    for message in BURST:
        brown.send(message)
    late.page.context.set_offline(False)
    for one in (brown, bayko, late):
        expect(one.texts.last).to_have_text(BURST[-1])
        assert one.texts.all_inner_texts()[-50:] == BURST
        expect(one.inbox.first).to_contain_text(BURST[-1])
    for one in (brown, late):
        while one.button("Older messages").is_visible():
            shown = one.texts.all_inner_texts()
            one.button("Older messages").click()
            expect(one.texts).not_to_have_count(len(shown))
            assert one.texts.all_inner_texts()[-len(shown) :] == shown
    number = brown.texts.count()
    assert number > 3 * 40
    change, text = brown.button("Edit or delete"), brown.page.get_by_label("Your message")
    change.first.click()
    text.fill("The first message, edited")
    text.press("Enter")
    expect(late.texts.first).to_have_text("The first message, edited")
    change.nth(1).click()
    brown.button("Delete …").click()
    brown.answer("Delete this message?", "Delete")
    for one in (brown, late):
        expect(one.texts).to_have_count(number - 1)


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
    brown.button("Add people").click()
    brown.page.get_by_role("button", name="Add", exact=True).click()
    expect(brown.page.locator("#dialog-error")).to_have_text("Choose at least one person.")
    expect(brown.page.get_by_role("dialog")).to_contain_text("can read everything here, from the first message on")
    brown.button("Cancel").click()
    brown.add("Mina Okafor")
    expect(mina.inbox.first).to_contain_text("At noon.")
    for one in (brown, bayko, tomas, elsewhere):
        expect(one.inbox.first.locator(".who")).to_contain_text("Mina Okafor")
        expect(one.inbox.first.locator(".who")).to_have_attribute("title", re.compile("Mina Okafor"))
    brown.button("4 people").click()
    there = sorted(brown.page.locator("#members li small").all_inner_texts())
    assert there == ["@andrewbrown", "@bayko", "@mina", "@tomas"]
    mina.inbox.first.locator("a").click()
    mina.send("I am there.")
    for one in (brown, bayko, tomas, mina):
        expect(one.texts).to_have_text(["Lunch?", "At noon.", "I am there."])
        expect(one.inbox.first).to_contain_text("I am there.")


def test_an_author_edits_and_deletes_messages_and_the_others_see_it(opened: Callable[..., Window]) -> None:
    tomas, elsewhere, mina = opened("tomas"), opened("tomas"), opened("mina", viewport=NARROW)
    tomas.start("I met the heorn", "Mina Okafor")
    elsewhere.open("Mina Okafor")
    mina.open("Tomas Lindqvist")
    mina.send("You did?")
    change, form = tomas.button("Edit or delete"), tomas.page.locator("#messages form")
    for one in (tomas, mina):
        expect(one.texts.last).to_have_text("You did?")
        expect(one.page.locator("#messages li:not(.mine) button")).to_have_count(0)
    change.last.click()
    form.get_by_label("Your message").fill("x" * 1025)
    expect(form.get_by_role("button", name="Save")).to_be_disabled()
    form.get_by_label("Your message").fill("I met the heron")
    tomas.page.context.set_offline(True)
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("Your text is still here")
    tomas.open("Andrew Brown")
    tomas.open("Mina Okafor")
    tomas.page.context.set_offline(False)
    form.get_by_role("button", name="Save").click()
    for one in (tomas, elsewhere, mina):
        edited = one.page.locator("#messages li", has_text="edited")
        expect(edited.locator(".text")).to_have_text("I met the heron")
        expect(edited.locator("form")).to_have_count(0)
    elsewhere.button("Edit or delete").last.click()
    elsewhere.page.get_by_label("Your message").fill("Too late")
    change.last.click()
    form.get_by_role("button", name="Delete").click()
    tomas.answer("Delete this message?", "Cancel")
    expect(form.get_by_label("Your message")).to_have_value("I met the heron")
    elsewhere.page.route("**/api/*", lambda route: route.abort())
    form.get_by_role("button", name="Delete").click()
    tomas.answer("Delete this message?", "Delete")
    expect(tomas.page.locator("#text")).to_be_focused()
    for one in (tomas, mina):
        expect(one.page.locator("#messages")).not_to_contain_text("I met the heron")
        expect(one.texts.last).to_have_text("You did?")
    elsewhere.button("Save").click()
    expect(elsewhere.page.locator("#messages").get_by_role("alert")).to_have_text("The message is no longer there.")
    elsewhere.page.unroute_all()
    expect(elsewhere.page.locator("#messages form")).to_have_count(0)


def as_of_an_older_version(server: Server, group: str) -> None:
    """Take the marks off a group's rows."""
    table: Any = server.checkout.account().client("dynamodb")
    for row in rows_in_index(table.query, schema.TABLE_NAME, group):
        key = key_attributes(row.key)
        table.update_item(TableName=schema.TABLE_NAME, Key=key, UpdateExpression=f"REMOVE {schema.IS_GROUP}")


def test_a_member_leaves_a_group_once_it_is_one_and_is_added_again(
    opened: Callable[..., Window], server: Server
) -> None:
    brown, bayko, elsewhere = opened("andrewbrown"), opened("bayko"), opened("bayko", viewport=NARROW)
    brown.start("Who paints?", "Andrew Bayko", "Tomas Lindqvist")
    brown.page.get_by_role("switch").check()
    expect(brown.page.locator("#rows")).to_contain_text("3 rows")
    as_of_an_older_version(server, brown.page.url.split("#")[1])
    for one in (bayko, elsewhere):
        one.inbox.first.locator("a", has_text="Who paints?").click()
        expect(one.page.locator("#add")).to_be_hidden()
    bayko.button("3 people").click()
    expect(bayko.page.locator("#members")).to_contain_text("With its next message this becomes a group")
    expect(bayko.button("Leave")).to_be_hidden()
    bayko.page.keyboard.press("Escape")
    brown.send("And who cooks?")
    expect(bayko.page.locator("#add")).to_be_visible()
    for answer in ("Cancel", "Leave"):
        bayko.button("3 people").click()
        expect(bayko.page.locator("#not-yet")).to_be_hidden()
        bayko.button("Leave").click()
        bayko.answer("anybody in it can add you again", answer)
    expect(bayko.page.locator("#none")).to_be_visible()
    elsewhere.page.reload()
    expect(elsewhere.page.locator("#refused b")).to_have_text("You are not in this conversation.")
    expect(elsewhere.texts).to_have_count(0)
    expect(elsewhere.page.locator("#text")).to_be_hidden()
    elsewhere.page.get_by_role("link", name="Back to the conversations").click()
    expect(elsewhere.inbox.first).to_be_visible()
    elsewhere.page.go_back()
    for one in (bayko, elsewhere):
        expect(one.page.locator("#inbox")).not_to_contain_text("And who cooks?")
    expect(brown.button("2 people")).to_be_visible()
    brown.add("Andrew Bayko")
    expect(bayko.inbox.first).to_contain_text("And who cooks?")
    expect(elsewhere.texts).to_have_text(["Who paints?", "And who cooks?"])
    brown.open("Mina Okafor")
    expect(brown.texts.first).to_be_visible()
    for button in ("#add", "#there"):
        expect(brown.page.locator(button)).to_be_hidden()


def test_whoever_is_alone_in_a_conversation_of_two_can_leave(opened: Callable[..., Window], server: Server) -> None:
    ida, mina = opened("ida"), opened("mina")
    ida.start("I leave the app tomorrow", "Mina Okafor")
    mina.open("Ida")
    expect(mina.texts).to_have_count(1)
    expect(mina.page.locator("#there")).to_be_hidden()
    erase = [str(server.checkout.folder / "bin/ddb"), "person", "erase", IDA.uuid, "--yes"]
    erased = subprocess.run(erase, capture_output=True, text=True, check=False)
    assert erased.returncode == 0, erased.stderr
    expect(mina.page.locator("#with")).to_have_text("erased")
    mina.button("1 person").click()
    mina.button("Leave").click()
    mina.answer("nobody is left who could add you again", "Leave")
    expect(mina.page.locator("#inbox")).not_to_contain_text("erased")


def test_what_one_has_not_seen_is_bold_and_counted_in_the_title(opened: Callable[..., Window]) -> None:
    tomas, elsewhere, gil = opened("tomas"), opened("gil"), opened("gil", viewport=NARROW | {"height": 360})

    def expect_unread(number: int) -> None:
        for one in (gil, elsewhere):
            expect(one.page).to_have_title(f"({number}) Gil · Cruddur messages" if number else "Gil · Cruddur messages")
            expect(one.page.locator("#inbox .unread .count")).to_have_text([str(number)] if number else [])
            expect(one.page.locator("#inbox .who")).to_have_css("font-weight", "700" if number else "500")

    tomas.start("One", "Gil")
    tomas.send("Two\n\n\n\nlines")
    expect_unread(2)
    gil.page.evaluate("Object.defineProperty(document, 'hidden', { get: () => isAway }), isAway = true")
    gil.open("Tomas Lindqvist")
    expect(gil.texts).to_have_count(2)
    tomas.send("Three")
    expect_unread(3)
    gil.page.evaluate("isAway = false")
    expect_unread(0)
    gil.page.locator("#scroller").evaluate("it => it.scrollTo(0, 0)")
    tomas.send("Four")
    expect(gil.texts).to_have_count(4)
    expect_unread(1)
    gil.page.locator("#scroller").evaluate("it => it.scrollTo(0, it.scrollHeight)")
    expect_unread(0)


def test_names_and_texts_are_shown_as_text_and_only_web_addresses_are_links(opened: Callable[..., Window]) -> None:
    eve, mina = opened("eve"), opened("mina")
    addresses = """See http://a.example/b_(c). (https://d.example/?e=1&f)! javascript:alert(3) http://"onclick=alert(4) http://"""
    message = f"{SCRIPT} & <b>bold</b> {addresses}"
    eve.start(message, "Mina Okafor")
    expect(mina.inbox.first).to_contain_text(message)
    mina.open(EVE.display_name)
    mina.page.get_by_role("switch").check()
    for one in (eve, mina):
        expect(one.texts).to_have_text([message])
        assert one.page.locator("body script, body img, body b:has-text('bold')").count() == 0
        links = one.texts.last.locator("a").all()
        assert [link.get_attribute("href") for link in links] == ["http://a.example/b_(c)", "https://d.example/?e=1&f"]
        assert {link.get_attribute("rel") for link in links} == {"noopener noreferrer"}


def test_a_draft_and_its_error_belong_to_their_conversation(opened: Callable[..., Window]) -> None:
    brown, held = opened("andrewbrown"), list[Route]()
    text, alert = brown.page.locator("#text"), brown.page.locator("#send-error")
    brown.open("Mina Okafor")
    text.fill("For Mina")
    brown.open("Tomas Lindqvist")
    expect(text).to_have_value("")
    text.fill("For Tomas")
    brown.page.route("**/api/messages", lambda route: held.append(route))
    with brown.page.expect_request("**/api/messages"):
        text.press("Enter")
    brown.open("Mina Okafor")
    expect(text).to_have_value("For Mina")
    with brown.page.expect_event("requestfailed"):
        held[0].abort()
    brown.page.unroute("**/api/messages")
    brown.send("For Mina again")
    expect(alert).to_have_text("")
    brown.open("Tomas Lindqvist")
    expect(text).to_have_value("For Tomas")
    expect(alert).to_contain_text("Your text is still here")
    assert "For Mina again" not in brown.texts.all_inner_texts()

    # A start that is cancelled while the server is slow stops no other.
    brown.page.route("**/api/messages", lambda route: held.append(route))
    brown.button("New").click()
    brown.page.get_by_role("dialog").get_by_label("Mina Okafor").check()
    brown.page.get_by_label("First message").fill("Too slow")
    with brown.page.expect_request("**/api/messages"):
        brown.button("Start").click()
    brown.button("Cancel").click()
    brown.button("New").click()
    with brown.page.expect_response("**/api/messages"):
        held[1].continue_()
    brown.page.unroute("**/api/messages")
    brown.button("Cancel").click()
    brown.start("Soon enough", "Tomas Lindqvist")


def test_an_empty_inbox_and_a_refusal_show_a_text(opened: Callable[..., Window]) -> None:
    fay, brown = opened("fay"), opened("andrewbrown")
    brown.open("Mina Okafor")
    text, alert = brown.page.locator("#text"), brown.page.get_by_role("alert").first
    expect(fay.page.locator("#inbox-empty")).to_have_text("No conversations yet. Start one with New.")
    expect(fay.page.locator("#inbox-empty")).to_be_visible()
    expect(brown.page.locator("#inbox-empty")).to_be_hidden()
    assert fay.inbox.count() == 0
    text.press("Enter")
    expect(alert).to_have_text("Write something first.")
    text.fill("x" * 1024)
    expect(brown.page.locator("#send-button")).to_be_enabled()
    text.fill("x" * 1025)
    expect(brown.page.locator("#send-button")).to_be_disabled()
    expect(brown.page.locator("#left")).to_have_text("Characters too many: 1")
    text.press("Enter")
    expect(alert).to_have_text("The message is too long.")
    expect(text).to_have_value("x" * 1025)
    brown.page.goto(f"{brown.page.url.split('?')[0]}?as=nobody")
    expect(brown.page.locator("#none")).to_contain_text("There is nobody called @nobody. Who are you?")
    line = {
        "uuid": FAY.uuid,
        "display_name": "Two rows",
        "message": "",
        "created_at": "2026-01-01T00:00:00",
        "unread": 0,
    }
    fay.page.route("**/api/message_groups", lambda route: route.fulfill(json=[line | {"message": "newer"}, line]))
    for _ in range(3):
        fay.page.wait_for_event("response", lambda response: "/api/message_groups" in response.url)
    expect(fay.inbox).to_have_count(2)
    fay.page.route("**/api/users", lambda route: route.fulfill(json=[vars(FAY)]))
    fay.page.reload()
    fay.button("New").click()
    expect(fay.page.locator("#dialog-error")).to_have_text("There is nobody else yet.")
    for part in ("#choice", "#first", "#dialog-ok"):
        expect(fay.page.locator(part)).to_be_hidden()


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
    expect(brown.page.locator("#patterns .new")).to_have_count(2)
    brown.open("Mina Okafor")
    expect(brown.page.locator("#rows")).to_contain_text("Mina Okafor")
    expect(brown.page.locator("#table .new")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_and_the_keyboard_alone_suffice_for_everything(opened: Callable[..., Window], scheme: str) -> None:
    bayko = opened("bayko", viewport=NARROW, color_scheme=scheme, timezone_id="Pacific/Auckland")
    page, press, write = bayko.page, bayko.page.keyboard.press, bayko.page.keyboard.type
    text, title, change = page.locator("#text"), page.locator("#with"), bayko.button("Edit or delete").last

    def reach(target: Locator, key: str = "Enter") -> None:
        for _ in range(200):
            if target.evaluate("it => it === document.activeElement"):
                return press(key)
            press("Tab")
        raise AssertionError(f"Tab does not reach {target}")

    expect(page.locator("#conversation")).to_be_hidden()
    with_brown = page.locator("#inbox a", has=page.get_by_text("Andrew Brown", exact=True))
    at = with_brown.locator("time")
    expect(at).to_have_text(re.compile(f"{(at.get_attribute('datetime') or '')[11:16]} UTC$"))
    reach(with_brown)
    expect(page.locator("nav")).to_be_hidden()
    expect(text).to_be_focused()
    write(f"From the keyboard, {scheme}")
    press("Shift+Enter")
    write("in two lines")
    press("Tab")
    press("Enter")
    expect(bayko.texts.last).to_have_text(f"From the keyboard, {scheme}\nin two lines")
    press("Shift+Tab")
    reach(change)
    write(", edited")
    press("Enter")
    expect(bayko.texts.last).to_have_text(re.compile("in two lines, edited$"))
    expect(change).to_be_focused()
    press("Enter")
    press("Escape")
    expect(change).to_be_focused()
    press("Enter")
    reach(bayko.button("Delete …"))
    expect(bayko.button("Cancel").last).to_be_focused()
    reach(page.get_by_role("alertdialog").get_by_role("button", name="Delete"))
    expect(page.locator("#messages")).not_to_contain_text(f"From the keyboard, {scheme}")
    expect(text).to_be_focused()
    shown = bayko.texts.count()
    reach(bayko.button("Older messages"))
    expect(bayko.texts).not_to_have_count(shown)
    reach(page.get_by_label("Back to the conversations"))
    expect(with_brown).to_be_focused()

    reach(bayko.button("New"))
    reach(page.get_by_role("dialog").get_by_label("Mina Okafor"), "Space")
    reach(page.get_by_role("dialog").get_by_label("Tomas Lindqvist"), "Space")
    reach(page.get_by_label("First message"), "Home")
    write(f"http://{scheme}.example")
    press("Enter")
    expect(title).to_have_text(re.compile("Mina Okafor"))
    expect(text).to_be_focused()
    reach(bayko.button("3 people"))
    expect(page.locator("#members li")).to_have_count(3)
    press("Escape")
    expect(page.locator("#members")).to_be_hidden()
    reach(bayko.button("Add people"))
    reach(page.get_by_role("dialog").get_by_label("Eve"), "Space")
    reach(page.get_by_role("button", name="Add", exact=True))
    expect(bayko.button("4 people")).to_be_visible()
    with page.context.expect_page() as elsewhere:
        reach(bayko.texts.last.locator("a"))
    elsewhere.value.close()
    reach(page.get_by_role("switch"), "Space")
    expect(page.locator("#table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    reach(bayko.button("4 people"))
    reach(bayko.button("Leave"))
    reach(page.get_by_role("alertdialog").get_by_role("button", name="Leave"))
    expect(bayko.button("New")).to_be_focused()
    reach(page.locator("#me"), "A")
    expect(page.locator("#me")).to_have_value("andrewbrown")


def test_the_server_stops_and_starts_again_and_then_the_system_is_down(
    opened: Callable[..., Window], server: Server
) -> None:
    brown, mina = opened("andrewbrown"), opened("mina")
    brown.open("Mina Okafor")
    mina.open("Andrew Brown")
    said = server.end()
    assert "Traceback" not in said
    status, text = brown.page.get_by_role("status"), brown.page.locator("#text")
    expect(status).to_have_text("The server does not answer. Trying again …")
    text.fill("Are you still there?")
    text.press("Enter")
    expect(brown.page.get_by_role("alert").first).to_contain_text("Your text is still here")
    expect(text).to_have_value("Are you still there?")
    server.begin()
    expect(status).to_be_hidden()
    text.press("Enter")
    for one in (brown, mina):
        expect(one.texts.last).to_have_text("Are you still there?")
    server.checkout.make_target("down")
    expect(status).to_have_text("The table does not answer. Is make up still running? Trying again …")
