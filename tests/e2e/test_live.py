"""Pages that follow events without a reload, and cheaply: an unchanged piece is not sent again."""

import docker
import pytest
from playwright.sync_api import Page, Request, Response, expect

from tests.harness.console import RunningConsole, call_link
from tests.harness.eventually import eventually
from tests.harness.images import make_image
from tests.harness.projects import Project

LIVE = 60_000  # milliseconds in which the inventory or a call must have come so far
HIDE = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def shop(api: docker.APIClient) -> Project:
    make_image(api, "shop:1", Env=["VERSION=1"])
    project = Project(api, "shop")
    project.add("web", "shop:1", 1)
    return project


def is_poll(request: Request, target: str = "list") -> bool:
    return request.headers.get("hx-target") == target


def is_empty_answer(response: Response) -> bool:
    return is_poll(response.request) and response.status == 204


def test_a_list_follows_the_engine_and_an_unchanged_one_sends_nothing(
    signed_in: Page, shop: Project, api: docker.APIClient
) -> None:
    page = signed_in
    page.clock.install()
    polls: list[Request] = []
    page.on("request", lambda request: polls.append(request) if "hx-request" in request.headers else None)
    page.goto("/applications/")
    row = page.get_by_role("row", name="shop")
    expect(row).to_contain_text("1 of 1 running", timeout=LIVE)

    def stays_the_same() -> bool:
        page.evaluate("document.getElementById('list').isTheSame = true")
        for _ in range(2):
            with page.expect_response(is_empty_answer):
                pass
        return bool(page.evaluate("document.getElementById('list').isTheSame"))

    eventually(stays_the_same, within=30)
    assert polls
    assert all("windlass-state" in request.headers for request in polls), "a poll keeps the session alive"

    heading = page.get_by_role("columnheader", name="Status").get_by_role("link")
    heading.press("Enter")
    expect(page.get_by_role("columnheader", name="Status")).to_have_attribute("aria-sort", "ascending")
    expect(heading).to_be_focused()
    assert "sort=status" in page.url
    api.stop(api.containers(filters={"label": "com.docker.compose.project=shop"})[0]["Id"], timeout=0)
    expect(row).to_contain_text("0 of 1 running", timeout=LIVE)
    expect(heading).to_be_focused()

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "hx-request" in request.headers else None)
    page.evaluate(HIDE, True)
    page.clock.run_for(1_000)  # what was under way is answered
    asked.clear()
    page.clock.run_for(30_000)
    assert asked == []
    with page.expect_request(is_poll):
        page.evaluate(HIDE, False)


def test_a_trigger_panel_follows_its_calls_and_keeps_what_was_revealed_and_opened(
    signed_in: Page, shop: Project, running_console: RunningConsole
) -> None:
    page = signed_in
    trigger = running_console.create_trigger("shop", "redeploy", name="Jenkins")
    page.goto("/applications/")
    page.get_by_role("link", name="shop", exact=True).click()
    page.get_by_role("button", name="Actions of Jenkins").click()
    page.get_by_role("link", name="How to call it").click()
    expect(page.get_by_role("tab", name="curl")).to_be_visible()
    page.get_by_role("button", name="Reveal the secret").last.click()
    page.get_by_role("tab", name="GitLab CI").click()
    row = page.get_by_role("row", name="Jenkins").first
    expect(row).to_contain_text("never")
    secret = row.locator("code.secret .plain-secret")
    expect(secret).to_have_text(trigger["secret"])

    status, answer = call_link(trigger)
    assert status == 200, answer
    expect(row).to_contain_text("Succeeded", timeout=LIVE)
    expect(row.get_by_role("img", name="In 7 days: 1 call, 1 succeeded.")).to_be_visible()
    expect(secret).to_have_text(trigger["secret"])
    expect(secret).to_be_visible()
    tab = page.get_by_role("tab", name="GitLab CI")
    expect(tab).to_be_focused()
    expect(tab).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel", name="GitLab CI")).to_be_visible()
