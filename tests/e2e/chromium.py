"""Debian's headless Chromium, and the two window sizes of the tests."""

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, ProxySettings, ViewportSize, sync_playwright

from tests.harness.netns import hold_network_space
from tests.harness.proc import find_program
from tests.harness.socks import run_socks

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


# What htmx logs when a page is left during a poll. A request that fails is logged in another line as well.
LEAVING = ("htmx:sendAbort", "htmx:afterRequest")


def is_complaint(message: ConsoleMessage) -> bool:
    return message.type in ("error", "warning") and not message.text.startswith(LEAVING)


@contextmanager
def run_chromium() -> Iterator[Browser]:
    program = find_program("chromium-headless-shell")
    if not program:
        raise AssertionError("There is no browser: `apt-get install chromium-headless-shell` installs it on Debian.")
    with start_apart(program) as (command, proxy), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command, args=list(FLAGS), proxy=proxy)
        yield browser
        browser.close()


@contextmanager
def start_apart(program: str) -> Iterator[tuple[str, ProxySettings]]:
    """Return a command that starts `program` in a network of its own, and its proxy to the consoles.

    In the machine's network the browser drops its requests whenever an engine adds or removes an interface."""
    space = hold_network_space()
    try:
        space.ip("link set lo up")
        with run_socks(space) as proxy, tempfile.TemporaryDirectory(prefix="chromium-") as folder:
            command = Path(folder) / "start"
            command.write_text(f'#!/bin/sh\nexec {shlex.join([*space.enter, program])} "$@"\n')
            command.chmod(0o700)
            yield str(command), {"server": proxy, "bypass": "<-loopback>"}
    finally:
        space.release()
