"""Every page there is, each tab and each dialog: axe-core finds nothing in light or dark, and nothing is wider than a phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.browsing import Visitor, open_browser
from tests.e2e.site import NOBODY, PAGE_NAMES, Site

EMPTY = ("/", "/search/", "/applications/", "/services/", "/clusters/", "/nodes/", "/triggers/", "/activity/", "/users/")
EMPTY += ("/registries/", "/deliveries/")


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    site.fill()
    return site


@pytest.fixture(scope="module")
def window(chromium: Browser, site: Site) -> Iterator[Visitor]:
    with open_browser(chromium, site, "admin") as visitor:
        yield visitor


@pytest.fixture
def visitor(window: Visitor) -> Iterator[Visitor]:
    yield window
    window.check_complaints()


def report(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


def read_page(visitor: Visitor, path: str, dark: bool = True) -> list[str]:
    """Everything that is wrong at `path`, wide and narrow."""
    page = visitor.visit(path)
    found = visitor.read_in_both_themes() if dark else visitor.read_with_axe()
    found += visitor.measure_narrow()
    if page.evaluate("() => document.getAnimations().some((animation) => animation.playState === 'running')"):
        found.append(f"{path} moves, although the reader asked for less motion")
    return found


def read_dialog(visitor: Visitor, path: str) -> list[str]:
    visitor.visit("/nodes/")  # a small page
    visitor.open_dialog(path)
    return visitor.read_with_axe("#dialog")


@pytest.mark.parametrize("path", EMPTY)  # first in this module: before anything is there
def test_the_empty_console_is_accessible(visitor: Visitor, path: str) -> None:
    report(read_page(visitor, path))


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_a_page_is_accessible(visitor: Visitor, filled: Site, name: str) -> None:
    found = []
    for path in filled.list_paths(name):
        dark = path == filled.list_paths(name)[0]  # a Swarm's page has the colours and most tabs of a plain engine's
        found += read_page(visitor, path, dark)
        tabs = visitor.find_tabs()
        if name != "password" and visitor.page.locator(".dialog-page").count():  # which only looks like one
            found += read_dialog(visitor, path)
        for tab in tabs if dark else [tab for tab in tabs if "tasks" in tab]:
            found += read_page(visitor, tab, dark)
    report(found)


@pytest.mark.parametrize("path", ["/", "/applications/", "/password/"])
def test_a_page_is_accessible_without_a_role(chromium: Browser, filled: Site, path: str) -> None:
    with open_browser(chromium, filled, NOBODY) as visitor:
        report(read_page(visitor, path))
