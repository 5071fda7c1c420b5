"""Debian's Chromium, its build without a window, and the two sizes in which pages are looked at."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, ViewportSize, sync_playwright

from tests.harness.proc import find_program

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# The engines' new network interfaces make the browser drop requests it has under way. A page asks again; so does `visit`.
DROPPED = ("net::ERR_NETWORK_CHANGED", "htmx:sendError", "htmx:sendAbort", "htmx:afterRequest")
# The page is dropped, the browser's own that says so comes between, or the browser loads the dropped one again by itself.
INTERRUPTIONS = (DROPPED[0], "chrome-error://", "is interrupted by another navigation")
PAUSE = 500  # milliseconds: one change of the network comes in many parts


def is_complaint(message: ConsoleMessage) -> bool:
    return message.type in ("error", "warning") and not any(word in message.text for word in DROPPED)


def visit(page: Page, path: str) -> None:
    for tries_left in reversed(range(5)):
        try:
            page.goto(path)
        except Error as error:
            if not tries_left or not any(word in error.message for word in INTERRUPTIONS):
                raise
            page.wait_for_timeout(PAUSE)
        else:
            return


@contextmanager
def run_chromium() -> Iterator[Browser]:
    program = find_program("chromium-headless-shell")
    if not program:
        raise AssertionError("There is no browser: `apt-get install chromium-headless-shell` installs it on Debian.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()
