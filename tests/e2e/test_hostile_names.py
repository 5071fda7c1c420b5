"""Malicious names, labels, images, messages and user agents: nothing of them runs, and no page breaks."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.urls import reverse
from playwright.sync_api import Browser

from tests.e2e.browsing import WATCH, Visitor, open_browser
from tests.e2e.chromium import DESKTOP, PHONE
from tests.e2e.hostile import EVALUATED, HOSTILE_ENVIRONMENT, HOSTILE_LABELS, HOSTILE_LOGS, make_hostile_fleets
from tests.e2e.site import PAGE_NAMES, Site

SEARCHES = ("<img src=x onerror=pwned=7>", '"><script>pwned=8</script>\u202e')


@pytest.fixture(scope="module")
def hostile(site: Site) -> Site:
    site.fill(make_hostile_fleets, HOSTILE_ENVIRONMENT, HOSTILE_LABELS, HOSTILE_LOGS)
    return site


@pytest.fixture(scope="module")
def window(chromium: Browser, hostile: Site) -> Iterator[Visitor]:
    with open_browser(chromium, hostile, "admin", script=WATCH, viewport=PHONE) as visitor:
        yield visitor


@pytest.fixture
def visitor(window: Visitor) -> Iterator[Visitor]:
    yield window
    window.check_complaints()


def look_at(visitor: Visitor) -> list[str]:
    found = [*visitor.find_harm(), *visitor.find_what_sticks_out(), *visitor.find_unbreakable_names()]
    for size in (DESKTOP, PHONE):
        visitor.page.set_viewport_size(size)
        found += visitor.find_cut_names()
    return found


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_hostile_names_are_inert_on_a_page(visitor: Visitor, hostile: Site, name: str) -> None:
    found = []
    for path in hostile.list_paths(name):
        page = visitor.visit(path)
        found += look_at(visitor)
        tabs = visitor.find_tabs(name)
        for tab in tabs:
            visitor.visit(tab)
            found += look_at(visitor)
        assert EVALUATED not in page.content()
    assert not found, "\n" + "\n".join(found)


def test_hostile_names_are_inert_in_the_palette(visitor: Visitor) -> None:
    page = visitor.visit("/")
    found = []
    for words in ("pwned", *SEARCHES):
        page.keyboard.press("Control+k")
        page.keyboard.insert_text(words)
        page.wait_for_function("words => document.querySelector('#palette [data-query]')?.dataset.query === words", arg=words)
        found += look_at(visitor)
        page.keyboard.press("Escape")
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("path", ["/applications/", "/services/", "/triggers/", "/activity/", "/search/", "/audit/"])
def test_a_hostile_search_is_inert(visitor: Visitor, path: str) -> None:
    found = []
    for words in SEARCHES:
        visitor.page.goto(f"{path}?q={words}&cluster={words}&state={words}&sort={words}&tab={words}&actor={words}")
        found += look_at(visitor)
    assert not found, "\n" + "\n".join(found)


def test_hostile_names_are_inert_in_the_admin(visitor: Visitor, hostile: Site) -> None:
    def list_paths() -> list[str]:
        paths = ["/admin/"]
        for model in admin.site._registry:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            last = model._default_manager.order_by("pk").last()
            paths += [reverse(f"{name}_changelist"), *([reverse(f"{name}_change", args=[last.pk])] if last else [])]
        return paths

    found = []
    for path in hostile.do(list_paths):
        visitor.visit(path)
        found += visitor.find_harm(ours=False)
    assert not found, "\n" + "\n".join(found)
