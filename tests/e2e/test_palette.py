"""The palette by keyboard alone: from anywhere to a page, to an application, and to an action on it."""

import re

import docker
from playwright.sync_api import Page, expect

from tests.harness.images import make_image
from tests.harness.projects import Project

LIVE = 60_000  # milliseconds in which the inventory must know what was started


def test_the_palette_leads_everywhere_by_keyboard(signed_in: Page, api: docker.APIClient) -> None:
    page = signed_in
    make_image(api, "shop:1", Env=["VERSION=1"])
    Project(api, "shop").add("web", "shop:1", 1)
    page.goto("/applications/")
    expect(page.get_by_role("link", name="shop", exact=True)).to_be_visible(timeout=LIVE)
    palette = page.get_by_role("dialog", name="Search")
    field = palette.get_by_role("combobox")
    chosen = palette.get_by_role("option", selected=True)

    page.get_by_role("link", name="Nodes").focus()
    page.keyboard.press("Control+k")
    expect(field).to_be_focused()
    expect(chosen).to_contain_text("Overview")
    page.keyboard.press("ArrowUp")
    expect(chosen).to_contain_text("Create user")  # the last one
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(chosen).to_contain_text("Applications")
    expect(field).to_have_attribute("aria-activedescendant", str(chosen.get_attribute("id")))
    for place in (palette.get_by_role("button", name="Close"), field):
        page.keyboard.press("Tab")
        expect(place).to_be_focused()
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    expect(page.get_by_role("link", name="Nodes")).to_be_focused()

    page.keyboard.press("Control+k")
    page.keyboard.type("redeploy shop")
    page.keyboard.press("Enter")  # waits for the answer to what was typed
    dialog = page.get_by_role("dialog", name="Redeploy")
    expect(dialog).to_contain_text("Redeploy shop on")
    expect(palette).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Nodes")).to_be_focused()

    page.keyboard.press("Control+k")
    page.keyboard.type("shop")
    expect(chosen).to_contain_text("shop")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/applications/\d+/$"))
