"""A trigger's secret in the browser: absent until it is revealed or copied, without leaving the page."""

import docker
from playwright.sync_api import Page, expect

from tests.harness.console import RunningConsole
from tests.harness.images import make_image
from tests.harness.projects import Project


def test_a_secret_is_fetched_when_it_is_copied_or_revealed(
    signed_in: Page, running_console: RunningConsole, api: docker.APIClient
) -> None:
    make_image(api, "shop:1", Env=["VERSION=1"])
    Project(api, "shop").add("web", "shop:1", 1)
    trigger = running_console.create_trigger("shop", "redeploy")
    page = signed_in
    page.goto("/triggers/")
    assert trigger["secret"] not in page.content()

    page.get_by_role("button", name="Copy the link").click()
    expect(page.locator("#announcer")).to_have_text("Link copied.")
    assert page.evaluate("navigator.clipboard.readText()") == trigger["link"]
    secret = page.locator("code.secret .plain-secret")
    expect(secret).to_be_hidden()

    reveal = page.get_by_role("button", name="Reveal the secret")
    reveal.press("Enter")
    expect(secret).to_have_text(trigger["secret"])
    expect(secret).to_be_visible()
    expect(reveal).to_have_attribute("aria-pressed", "true")
    reveal.press("Enter")
    expect(secret).to_be_hidden()

    page.goto("/audit/?action=trigger.reveal")
    expect(page.get_by_role("row", name="Revealed secret")).to_have_count(1)  # asked for once, then known to the page
