"""The help and the keys: from a page to its place in the help, the keys by keyboard and by button, and a console that hangs."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import Visitor, open_browser
from tests.e2e.chromium import DESKTOP, PHONE
from tests.e2e.site import NOBODY, Site


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    site.fill()
    return site


@pytest.fixture(scope="module")
def window(chromium: Browser, site: Site) -> Iterator[Visitor]:
    with open_browser(chromium, site, "admin") as visitor:
        yield visitor


@pytest.fixture
def visitor(window: Visitor, filled: Site) -> Iterator[Visitor]:
    yield window
    window.check_complaints()


def report(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("path", ["/help/?q=secret", "/help/operate/", "/help/security/", "/help/architecture/"])
def test_the_help_is_accessible(visitor: Visitor, path: str) -> None:
    visitor.visit(path)
    report(visitor.read_in_both_themes() + visitor.measure_narrow())


def test_the_help_is_there_without_a_role(chromium: Browser, filled: Site) -> None:
    with open_browser(chromium, filled, NOBODY) as visitor:
        page = visitor.visit("/help/triggers/")
        expect(page.get_by_role("heading", name="Create a trigger")).to_be_visible()
        report(visitor.read_with_axe())


def test_a_page_leads_to_its_place_and_the_search_to_a_section(visitor: Visitor) -> None:
    page = visitor.visit("/triggers/")
    page.get_by_role("link", name="Help: Triggers", exact=True).click()
    expect(page.get_by_role("heading", name="Create a trigger")).to_be_in_viewport()
    page.get_by_label("Search the help").fill("cool-down")
    page.get_by_label("Search the help").press("Enter")
    page.get_by_role("region", name="Found").get_by_role("link", name="Cool-down").click()
    expect(page.get_by_role("heading", name="Cool-down")).to_be_in_viewport()


def test_a_picture_is_that_of_the_theme(visitor: Visitor) -> None:
    page = visitor.visit("/help/triggers/")
    pictures = page.get_by_role("img", name="The Create Trigger dialog")
    for theme, name in (("Light", "create-trigger.png"), ("Dark", "create-trigger-dark.png")):
        page.get_by_role("button", name=theme, exact=True).click()
        expect(pictures).to_have_count(1)
        pictures.scroll_into_view_if_needed()
        expect(pictures).to_have_attribute("src", f"/help/images/{name}")
        page.wait_for_function("name => document.querySelector(`img[src$='/${name}']`).naturalWidth > 0", arg=name)
    page.get_by_role("button", name="Same as the system").click()


def open_keys(page: Page) -> None:
    page.get_by_role("button", name="Account: admin").click()
    page.get_by_role("link", name="Keys").click()


def test_the_keys_are_listed_by_key_and_by_button_and_can_be_turned_off(visitor: Visitor) -> None:
    page = visitor.visit("/triggers/")
    keys = page.get_by_role("dialog", name="Keys")
    page.keyboard.press("?")
    expect(keys).to_be_visible()
    report(visitor.read_in_both_themes("#dialog"))
    page.set_viewport_size(PHONE)
    report(visitor.find_what_sticks_out())
    page.set_viewport_size(DESKTOP)
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.press("/")
    search = page.get_by_label("Search by name, application or service")
    expect(search).to_be_focused()
    page.keyboard.type("a/b?")  # in a field they are letters
    expect(search).to_have_value("a/b?")
    expect(keys).to_be_hidden()

    open_keys(page)
    keys.get_by_label("act in this browser").uncheck()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.get_by_role("link", name="Help: Triggers", exact=True).focus()
    page.keyboard.press("/")
    page.keyboard.press("?")
    expect(search).not_to_be_focused()
    open_keys(page)
    expect(keys).to_be_visible()
    expect(keys.get_by_label("act in this browser")).not_to_be_checked()
    keys.get_by_label("act in this browser").check()


def test_a_slash_opens_the_search_of_everything_where_a_page_has_none(visitor: Visitor) -> None:
    page = visitor.visit("/")
    page.keyboard.press("/")
    expect(page.get_by_role("dialog", name="Search").get_by_role("combobox")).to_be_focused()
    expect(page.get_by_role("dialog", name="Search").get_by_role("combobox")).to_have_value("")


def test_a_console_that_hangs_says_so_within_ten_seconds(visitor: Visitor) -> None:
    page = visitor.visit("/nodes/")
    note = page.get_by_role("alert").filter(has_text="Cannot reach the console")
    expect(note).to_be_hidden()
    page.route("**/*", lambda route: None)  # as a web process that is frozen: no request has an answer
    expect(note).to_be_visible(timeout=10_000)
    page.unroute_all(behavior="ignoreErrors")
    expect(note).to_be_hidden(timeout=10_000)
    complaints, visitor.complaints = visitor.complaints, []
    assert [text for text in complaints if "htmx:timeout" not in text] == []
