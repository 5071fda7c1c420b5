"""The documented path, as a person walks it: an application, Create Trigger, Confirm, copy, paste into a shell."""

import json
import shlex
import subprocess

import docker
import pytest
from playwright.sync_api import Page, expect

from tests.harness.eventually import eventually
from tests.harness.images import make_image
from tests.harness.projects import Project, list_running, read_ids

LIVE = 60_000  # milliseconds in which a call must end on its page


@pytest.fixture
def shop(api: docker.APIClient) -> Project:
    """Two containers of `web` and one of `worker`."""
    make_image(api, "shop:1", Env=["VERSION=1"])
    project = Project(api, "shop")
    for service, number in (("web", 1), ("web", 2), ("worker", 1)):
        project.add(service, "shop:1", number)
    return project


def open_application(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Applications").click()
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def confirm_new_trigger(page: Page, action: str, service: str = "") -> None:
    page.get_by_role("link", name="Create Trigger").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Action").select_option(label=action)
    if service:
        dialog.get_by_label("Service", exact=False).first.select_option(label=service)
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog).to_be_hidden()


def copy_curl_line(page: Page) -> str:
    page.get_by_role("button", name="Copy the curl line").click()
    expect(page.locator("#announcer")).to_have_text("curl line copied.")
    return str(page.evaluate("navigator.clipboard.readText()"))


def run_in_shell(line: str) -> dict[str, str]:
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, str] = json.loads(done.stdout)
    assert answer["code"] == "200", answer
    return answer


def watch_call_succeed(page: Page, answer: dict[str, str]) -> None:
    """The page follows without a reload."""
    page.goto(f"/calls/{answer['requestId']}/")
    expect(page.locator(".verdict-succeeded")).to_contain_text("Succeeded in", timeout=LIVE)


def test_a_link_made_in_the_dialog_redeploys_and_scales_from_a_shell(
    signed_in: Page, shop: Project, api: docker.APIClient
) -> None:
    page = signed_in
    page.goto("/applications/")
    expect(page.get_by_role("link", name="shop", exact=True)).to_be_visible(timeout=LIVE)  # discovered while the page is open
    open_application(page, "shop")

    confirm_new_trigger(page, "Redeploy")
    before = read_ids(api)
    watch_call_succeed(page, run_in_shell(copy_curl_line(page)))
    after = read_ids(api)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())

    open_application(page, "shop")
    confirm_new_trigger(page, "Resource Scaling", "web")
    line = copy_curl_line(page)
    watch_call_succeed(page, run_in_shell(line))
    assert list_running(api) == {f"shop-web-{number}" for number in range(1, 8)} | {"shop-worker-1"}

    open_application(page, "shop")
    expect(page.get_by_role("row", name="web").filter(has_text="7 of 7 running")).to_be_visible()

    # The same link in a browser's address bar does nothing before the button is pressed.
    page.goto(shlex.split(line)[-1].replace("scale_out", "scale_in"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing has been done yet")
    page.get_by_role("button", name="Remove 5 containers").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The call is queued")
    eventually(lambda: list_running(api) == {"shop-web-1", "shop-web-2", "shop-worker-1"}, within=60)
