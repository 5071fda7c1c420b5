"""A stack on a real Swarm, followed, redeployed and scaled to zero on the pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.harness.console import RunningConsole, run_console
from tests.harness.swarm import PrivateSwarm

LIVE = 60_000  # milliseconds in which a call must end on its page


@pytest.fixture
def running_console(swarm: PrivateSwarm, tmp_path: Path) -> Iterator[RunningConsole]:
    with run_console(tmp_path / "data", swarm.endpoint_url) as running:
        yield running


@pytest.fixture
def shop(swarm: PrivateSwarm) -> str:
    """Deploy a stack with two tasks of `web`; return its image reference, whose tag has moved since."""
    reference = swarm.publish("shop", Env=["VERSION=1"])
    deploy = {"replicas": 2, "update_config": {"monitor": "3s"}}
    swarm.deploy_stack("shop", {"services": {"web": {"image": reference, "deploy": deploy}}})
    swarm.wait_for_tasks("shop_web", 2)
    return swarm.publish("shop", Env=["VERSION=2"])


def open_tasks(page: Page) -> None:
    page.goto("/applications/")
    page.get_by_role("link", name="shop", exact=True).click(timeout=LIVE)
    page.get_by_role("link", name="Tasks").click()


def test_a_stack_is_redeployed_followed_and_scaled_to_nothing(signed_in: Page, shop: str, swarm: PrivateSwarm) -> None:
    page = signed_in
    open_tasks(page)
    expect(page.get_by_role("row", name="web.2").filter(has_text="node1")).to_contain_text("Running")

    page.get_by_role("link", name="Redeploy").click()
    page.get_by_role("dialog").get_by_role("button", name="Redeploy").click()
    expect(page.get_by_role("progressbar", name="web")).to_be_visible(timeout=LIVE)
    expect(page.locator(".verdict-succeeded")).to_contain_text("Succeeded in", timeout=LIVE)
    pinned = f"{shop}@{swarm.registry.read_digest('shop', '1')}"
    assert {task["Spec"]["ContainerSpec"]["Image"] for task in swarm.running_tasks("shop_web")} == {pinned}

    open_tasks(page)
    former = page.locator("tr.earlier").first
    expect(former).to_be_hidden()
    page.get_by_text("1 earlier").first.click()
    expect(former).to_contain_text("Shut down")
    for _ in range(2):  # once the second answer is there, the first has been swapped in
        with page.expect_response(lambda response: "tab=tasks" in response.url):
            pass
    expect(former).to_be_visible()  # a list that refreshes itself folds nothing up

    page.get_by_role("link", name="web.1").first.click()
    page.get_by_role("link", name="Scale", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("How").select_option(label="Scale to")
    dialog.get_by_label("Tasks").fill("0")
    expect(dialog).to_contain_text("2 will be stopped; none remains. Swarm chooses which tasks to stop.")
    dialog.get_by_role("button", name="Scale").click()
    expect(page.locator(".verdict-succeeded")).to_contain_text("Succeeded in", timeout=LIVE)
    assert swarm.running_tasks("shop_web") == []

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Nodes").click()
    expect(page.get_by_role("row", name="node1")).to_contain_text("Manager leader")
