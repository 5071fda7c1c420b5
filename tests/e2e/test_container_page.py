"""A container's page on a real engine: its probes, its resource use, and revealing its secrets."""

import docker
from playwright.sync_api import Page, expect

from tests.harness.eventually import eventually
from tests.harness.images import make_image
from tests.harness.projects import Project

LIVE = 30_000  # milliseconds in which what the engine does must be on the page
HEALTH = {  # nanoseconds
    "Test": ["CMD-SHELL", "echo ready; [ ! -e /tmp/ill ]"],
    "Interval": 300_000_000,
    "Timeout": 5_000_000_000,
    "Retries": 1,
}


SELECT = """() => {
    const probes = document.querySelector(".probes");
    getSelection().selectAllChildren(probes.querySelector("pre"));
    probes.isTheSame = true;
}"""


def count_points(page: Page, chart: str) -> int:
    points = page.get_by_role("img", name=chart).locator("polyline").get_attribute("points") or ""
    return len(points.split())


def test_a_container_is_watched_and_its_environment_revealed(signed_in: Page, api: docker.APIClient) -> None:
    make_image(api, "shop:1", Env=["VERSION=1"])
    environment = ["DB_PASSWORD=s3cret-one", "DATABASE_URL=pg://shop:s3cret-two@db/shop", "MODE=bright"]
    name = Project(api, "shop").add("web", "shop:1", Healthcheck=HEALTH, Env=environment)
    page = signed_in
    page.goto("/applications/")
    page.get_by_role("link", name="shop", exact=True).click(timeout=LIVE)
    page.get_by_role("link", name="Containers").click()
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.locator(".probes")).to_contain_text("ready")
    head = page.locator("#container-head")
    expect(head).to_contain_text("Healthy", timeout=LIVE)

    expect(page.get_by_role("img", name="CPU in the last 2 minutes")).to_be_visible(timeout=LIVE)
    points = {chart: count_points(page, chart) for chart in ("CPU", "Memory")}
    eventually(lambda: all(count_points(page, chart) > before for chart, before in points.items()), what="the charts go on")

    page.evaluate(SELECT)  # at once: a poll must not come in between
    for _ in range(3):
        with page.expect_response(lambda response: response.request.headers.get("hx-target") == "container-about"):
            pass
    assert page.locator(".probes").evaluate("probes => probes.isTheSame")
    assert page.evaluate("getSelection().toString().trim()") == "ready"  # what somebody copies is not taken away
    page.evaluate("getSelection().removeAllRanges()")

    api.exec_start(api.exec_create(name, ["/bin/touch", "/tmp/ill"])["Id"])
    expect(head).to_contain_text("Unhealthy", timeout=LIVE)  # without a reload
    expect(page.locator(".probes")).to_contain_text("exit code 1", timeout=LIVE)

    page.get_by_role("link", name="Configuration").click()
    expect(page.get_by_text("pg://shop:••••@db/shop")).to_be_visible()
    assert "s3cret" not in page.content()
    page.get_by_role("button", name="Reveal").press("Enter")
    expect(page.get_by_text("pg://shop:s3cret-two@db/shop")).to_be_visible()
    expect(page.get_by_text("s3cret-one")).to_be_visible()
    expect(page.get_by_role("link", name="Hide")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("pg://shop:••••@db/shop")).to_be_visible()
    assert "s3cret" not in page.content()

    page.goto("/audit/?action=container.reveal")
    expect(page.get_by_role("row", name="Revealed environment")).to_contain_text(name)

    api.stop(name)
    page.go_back()
    expect(head).to_contain_text("Exited", timeout=LIVE)
