"""A long and malicious log in the browser: shown as text, searched, followed, and not loaded on other tabs."""

import re

import docker
from playwright.sync_api import Page, Request, expect

from tests.harness.eventually import eventually
from tests.harness.images import make_image
from tests.harness.projects import Project

LINES = 100_000
READ = 90_000  # milliseconds for all of them to arrive
AT_END = "view => view.scrollHeight - view.scrollTop - view.clientHeight < 20"
SCRIPT = (
    f"i=0; while [ $i -lt {LINES - 2} ]; do echo line $i; i=$((i+1)); done; "
    "printf '\\033[1;31mred\\033[0m \\033]0;title\\007plain\\n'; "
    "echo '<img src=x onerror=alert(1)>'; "
    "while [ ! -e /tmp/go ]; do sleep 0.2; done; echo a new line; sleep 100000"
)


def test_a_long_hostile_log_is_searched_and_followed(signed_in: Page, api: docker.APIClient) -> None:
    make_image(api, "shop:1")
    Project(api, "shop").add("web", "shop:1", 1, Cmd=["/bin/sh", "-c", SCRIPT])
    page = signed_in
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    portions: list[Request] = []
    page.on("request", lambda request: portions.append(request) if "/logs/?" in request.url else None)
    page.goto("/applications/")
    page.get_by_role("link", name="shop", exact=True).click()
    page.get_by_role("link", name="Logs", exact=True).click()

    log = page.get_by_role("log", name="Log of shop")
    lines = log.locator(".logs-line")
    expect(lines.last).to_contain_text("<img src=x onerror=alert(1)>", timeout=READ)
    expect(log.locator(".ansi-ink-1.ansi-bold")).to_have_text("red")
    expect(log.locator("img")).to_have_count(0)
    expect(lines.nth(-2)).to_contain_text("red plain")

    page.get_by_label("Period").select_option("all")
    foot = page.locator(".logs-foot")
    expect(foot).to_contain_text(f"{LINES:,} lines", timeout=READ)
    expect(foot).to_contain_text("Following", timeout=READ)
    assert page.locator(".logs-line").count() < 200
    assert page.evaluate("document.querySelectorAll('*').length") < 2000
    assert page.locator("[style]").count() == 0

    page.get_by_label("Wrap").check()
    expect(log).to_have_class(re.compile("is-wrapped"))
    eventually(lambda: log.evaluate(AT_END))
    log.evaluate("view => { view.scrollTop = view.scrollHeight / 2 }")
    expect(foot).to_contain_text("held here")
    assert page.locator(".logs-line").count() < 200
    page.get_by_label("Wrap").uncheck()

    [container] = api.containers()
    execution = api.exec_create(container["Id"], ["touch", "/tmp/go"])
    api.exec_start(execution["Id"])
    page.get_by_role("button", name="1 new line").click()
    expect(lines.last).to_contain_text("a new line")
    assert {"cursor=" in portion.url for portion in portions} == {True, False}
    marked = [("cursor=" in portion.url) == ("windlass-state" in portion.headers) for portion in portions]
    assert all(marked), "following a log keeps the session alive"
    expect(log).to_be_focused()

    log.press("/")
    page.keyboard.type("LINE 7777")
    expect(foot).to_contain_text("11 of 100,000 lines")  # 7777 and 77770 to 77779
    expect(log.locator("mark")).to_have_count(11)
    expect(log.locator("mark").first).to_have_text("line 7777")

    page.get_by_role("button", name="Follow").click()
    expect(foot).to_contain_text("Paused")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.startswith("shop-")

    page.get_by_role("link", name="Activity").last.click()
    expect(page.locator("[data-logs]")).to_have_count(0)
    assert page.evaluate("document.adoptedStyleSheets.length") == 0  # the panel has gone, and asks no more
    assert dialogs == []
