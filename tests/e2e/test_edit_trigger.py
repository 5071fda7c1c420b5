"""Editing a trigger by keyboard alone: through its menu, past an error at a field, to the changed row."""

import docker
from playwright.sync_api import Page, expect

from tests.harness.console import RunningConsole
from tests.harness.images import make_image
from tests.harness.projects import Project


def test_a_trigger_is_edited_by_keyboard_alone(signed_in: Page, running_console: RunningConsole, api: docker.APIClient) -> None:
    page, keyboard = signed_in, signed_in.keyboard
    make_image(api, "shop:1", Env=["VERSION=1"])
    Project(api, "shop").add("web", "shop:1", 1)
    running_console.create_trigger("shop", "scaling", "web", name="Alarm")
    page.goto("/triggers/")

    menu = page.get_by_role("button", name="Actions of Alarm")
    menu.focus()
    keyboard.press("Enter")
    expect(page.get_by_role("link", name="Test call")).to_be_focused()
    for _ in ("How to call it", "Edit"):
        keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Edit")).to_be_focused()
    keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Edit trigger")
    name = dialog.get_by_label("Name")
    expect(name).to_be_focused()
    keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(menu).to_be_focused()

    keyboard.press("ArrowDown")
    for _ in ("How to call it", "Edit"):
        keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(name).to_be_focused()
    for text in ("Too slow", "5", "2"):
        keyboard.press("Control+a")
        keyboard.type(text)
        keyboard.press("Tab")
    keyboard.press("Enter")
    maximum = dialog.get_by_label("Maximum")
    expect(maximum).to_have_attribute("aria-invalid", "true")
    expect(maximum).to_be_focused()
    expect(name).to_have_value("Too slow")
    expect(dialog).to_contain_text("Must not be less than the minimum (5).")
    keyboard.press("Control+a")
    keyboard.type("9")
    keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(f"{running_console.url}/triggers/")
    expect(page.get_by_role("status")).to_contain_text(["Too slow was changed. Its link stays the same."])
    expect(page.get_by_title("Resource Scaling of web, at least 5, at most 9")).to_be_visible()
