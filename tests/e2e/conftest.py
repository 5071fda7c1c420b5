"""A real browser on a real console. The browser ends with its test, since its event loop would disturb others."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.chromium import DESKTOP, is_complaint, run_chromium
from tests.e2e.site import Site, run_site
from tests.harness.console import PASSWORD, RunningConsole, run_console
from tests.harness.engine import PrivateEngine

expect.set_options(timeout=20_000)  # milliseconds: the machine is busy with engines


@pytest.fixture(scope="package")
def lasting_console(session_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """A console for all scenarios, since starting one takes longer than most of them. It ends with the last one."""
    with run_console(tmp_path_factory.mktemp("console") / "data", session_engine.endpoint_url) as running:
        yield running


@pytest.fixture
def running_console(lasting_console: RunningConsole, engine: PrivateEngine) -> Iterator[RunningConsole]:
    """A console without triggers and calls."""
    yield lasting_console
    lasting_console.forget_triggers()


@pytest.fixture(scope="module")
def chromium(site: Site) -> Iterator[Browser]:
    """A browser for all tests of a module. It starts after the site and ends before it: Django refuses its event loop."""
    with run_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(django_db_blocker: Any) -> Iterator[Site]:
    """The console in this process, with an engine in memory, for scenarios about pages alone."""
    with run_site(django_db_blocker) as site:
        yield site


@pytest.fixture
def page(running_console: RunningConsole) -> Iterator[Page]:
    """A page of the console, signed out. A complaint of the browser (an error, a policy violation) fails the test."""
    complaints: list[str] = []
    with run_chromium() as browser:
        context = browser.new_context(base_url=running_console.url, viewport=DESKTOP)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=running_console.url)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
    assert complaints == []


@pytest.fixture
def signed_in(page: Page) -> Page:
    page.goto("/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(re.compile(r"/$"))
    return page
