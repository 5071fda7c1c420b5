"""A bad image in the night and a wrong one by day: who runs the console is told, sees why, and returns with one click."""

import re
from collections.abc import Iterator

import docker
import pytest
from playwright.sync_api import Page, expect

from tests.harness.console import RunningConsole, call_link
from tests.harness.eventually import eventually
from tests.harness.images import make_image
from tests.harness.projects import Project, list_running
from triggers.notifications.tests.receivers import Sink, serve_sink

LIVE = 60_000  # milliseconds in which a call must end on its page
CRASHES = ["sh", "-c", "echo fatal: no table orders >&2; exit 3"]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with serve_sink() as sink:
        yield sink


@pytest.fixture
def key(running_console: RunningConsole, sink: Sink) -> str:
    """The signing key of a webhook, which gets what every new channel gets."""
    body = {"name": "night shift", "kind": "webhook", "configuration": {"url": f"{sink.address}/windlass"}}
    status, channel = running_console.request("POST", "/api/v1/channels/", body)
    assert status == 201, channel
    return str(channel["signing_key"])


def read_versions(api: docker.APIClient) -> set[str]:
    return {api.inspect_container(name)["Config"]["Env"][0] for name in list_running(api)}


def test_a_bad_image_is_reported_and_a_wrong_one_is_left_with_one_click(
    signed_in: Page, running_console: RunningConsole, sink: Sink, key: str, api: docker.APIClient
) -> None:
    page, reference = signed_in, "shop:1"
    make_image(api, reference, Env=["VERSION=1"])
    Project(api, "shop").add("web", reference)
    trigger = running_console.create_trigger("shop", "redeploy")

    make_image(api, reference, Env=["VERSION=2"], Cmd=CRASHES)
    status, answer = call_link(trigger, wait=60)
    assert (status, answer["state"], answer["failure"]["firstErrorLine"]) == (500, "rolled_back", "fatal: no table orders"), (
        answer
    )
    [failed] = eventually(lambda: sink.received[:], within=30, what="the failure is reported")
    news = failed.verify(key)
    assert (news["type"], news["application"]["name"], news["call"]["state"]) == ("failed", "shop", "rolled_back")
    assert news["call"]["first_error"] == "fatal: no table orders"
    assert trigger["secret"] not in failed.body.decode()
    page.goto(f"/calls/{answer['requestId']}/")
    expect(page.get_by_role("region", name="What failed")).to_contain_text("fatal: no table orders")
    assert read_versions(api) == {"VERSION=1"}

    make_image(api, reference, Env=["VERSION=3"])
    status, answer = call_link(trigger, wait=60)
    assert (status, answer["state"], read_versions(api)) == (200, "succeeded", {"VERSION=3"}), answer
    eventually(lambda: len(sink.received) > 1, within=30, what="the success is reported")
    assert sink.received[1].verify(key)["type"] == "works_again"

    page.goto(f"/applications/{trigger['application']}/")
    page.get_by_role("link", name="Redeploy the previous image").click()
    page.get_by_role("dialog").get_by_role("button", name="Redeploy").click()
    page.wait_for_url(re.compile(r"/calls/"))
    expect(page.locator(".verdict-succeeded")).to_contain_text("Succeeded", timeout=LIVE)
    assert read_versions(api) == {"VERSION=1"}
