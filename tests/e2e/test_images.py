"""Pruning images by keyboard alone: exactly the images of the preview are removed."""

import contextlib

import docker
from playwright.sync_api import Page, expect

from tests.harness.images import BASE, make_image

LIVE = 30_000  # milliseconds in which an engine or a worker's answer is on the page


def remove_images_of_other_tests(api: docker.APIClient) -> None:
    """Remove other images, which would fill the first page."""
    for image in api.images():
        if BASE not in (image["RepoTags"] or []):
            with contextlib.suppress(docker.errors.APIError):
                api.remove_image(image["Id"], force=True)


def test_images_are_pruned_by_keyboard_as_previewed(signed_in: Page, api: docker.APIClient) -> None:
    page = signed_in
    remove_images_of_other_tests(api)
    former = make_image(api, "windlass-e2e/shop:1", Labels={"build": "1"})
    current = make_image(api, "windlass-e2e/shop:1", Labels={"build": "2"})
    api.start(api.create_container("windlass-e2e/shop:1", name="storefront"))
    page.goto("/applications/")
    expect(page.get_by_role("link", name="storefront", exact=True)).to_be_visible(timeout=LIVE)

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Images").click()
    used = page.get_by_role("row").filter(has_text="windlass-e2e/shop:1")
    expect(used.get_by_role("link", name="storefront")).to_be_visible()
    expect(page.get_by_text(former[7:19]).filter(visible=True)).to_be_visible()

    prune = page.get_by_role("link", name="Prune")
    prune.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Dangling images")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(prune).to_be_focused()

    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Dangling images")).to_be_focused()
    # The base image of the others is kept: the engine has answered.
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_label("All unused images")).to_be_checked()
    expect(dialog.locator(".prune-kept")).to_contain_text("kept", timeout=LIVE)
    page.keyboard.press("ArrowUp")
    shown = dialog.get_by_role("list", name="Images that will be removed")
    expect(shown).to_contain_text(former[7:19], timeout=LIVE)
    expect(dialog.locator(".prune-kept")).to_have_count(0, timeout=LIVE)  # it is the first choice again
    expect(shown).not_to_contain_text(current[7:19])
    remove = dialog.get_by_role("button", name="Remove")
    for _ in range(8):
        if remove.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(remove).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_text("Freed up to")).to_be_visible(timeout=LIVE)
    expect(page.locator("#list").get_by_text(former[7:19])).to_have_count(0)  # the message names it too
    expect(used).to_be_visible()
    left = {image["Id"] for image in api.images()}
    assert former not in left
    assert current in left

    used.get_by_role("link", name="Remove windlass-e2e/shop:1").click()
    expect(dialog).to_contain_text("It cannot be removed: it is used by the running container storefront.")
    page.get_by_role("link", name="Close").last.click()
    expect(dialog).to_be_hidden()
