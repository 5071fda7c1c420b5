"""Storms of calls with all parts real.

WINDLASS_STORM is the number of redeploys. There are a tenth as many scale calls, since each creates a container
(triggers/calls/tests/test_storms.py has more of them, on an engine in memory).
"""

import contextlib
import http.client
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import docker
import pytest

from tests.harness.console import RunningConsole, run_console
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.projects import Project, list_running

CALLS = int(os.environ.get("WINDLASS_STORM", "150"))
CONNECTIONS = 64
SERVICES = 5
REDEPLOY_SECONDS = 8  # the least time in which a new container becomes healthy
SLEEP = {"Cmd": ["sleep", "3600"], "StopSignal": "SIGKILL"}


@pytest.fixture(scope="module")
def console(session_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with run_console(tmp_path_factory.mktemp("storm") / "data", session_engine.endpoint_url) as running:
        yield running


def call_links(links: list[str]) -> list[dict[str, Any]]:
    """Send all of them over a few connections and return the answers. Raises AssertionError if one is not 200."""
    parts = urlsplit(links[0])

    def call(share: list[str]) -> list[dict[str, Any]]:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        with contextlib.closing(connection):
            return [ask(connection, link) for link in share]

    with ThreadPoolExecutor(CONNECTIONS) as callers:
        shares = [links[caller::CONNECTIONS] for caller in range(CONNECTIONS)]
        return [answer for answers in callers.map(call, shares) for answer in answers]


def ask(connection: http.client.HTTPConnection, link: str) -> dict[str, Any]:
    parts = urlsplit(link)
    connection.request("POST", f"{parts.path}?{parts.query}")
    response = connection.getresponse()
    answer: dict[str, Any] = json.load(response)
    assert (response.status, answer["code"]) == (200, "200"), answer
    return answer


def list_calls(console: RunningConsole, trigger: dict[str, Any]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    path = f"/api/v1/calls/?limit=100&trigger={trigger['id']}"
    while path:
        page = console.request("GET", path)[1]
        calls += page["results"]
        path = (page["next"] or "").removeprefix(console.url)
    return calls


def count_live(console: RunningConsole) -> int:
    return sum(len(console.request("GET", f"/api/v1/calls/?state={state}")[1]["results"]) for state in ("queued", "running"))


def test_a_storm_of_redeploys_runs_at_most_two_and_answers_all(console, api, image):
    image(
        "storm:1",
        Healthcheck={"Test": ["CMD", "sleep", str(REDEPLOY_SECONDS)], "Interval": 10**9, "Timeout": 60 * 10**9},
        **SLEEP,
    )
    Project(api, "storm").add("web", "storm:1")
    trigger = console.create_trigger("storm", "redeploy")
    began = time.monotonic()
    answers = call_links([trigger["link"]] * CALLS)
    lasted = time.monotonic() - began
    assert len({answer["requestId"] for answer in answers}) == CALLS
    eventually(lambda: not count_live(console), within=180, what="all calls have ended")
    calls = {call["id"]: call for call in list_calls(console, trigger)}
    assert {answer["requestId"] for answer in answers} == set(calls)
    ran = [call for call in calls.values() if call["state"] != "coalesced"]
    assert 1 <= len(ran) <= 2 + lasted // REDEPLOY_SECONDS  # a busy machine can take longer than a redeploy
    assert {call["state"] for call in ran} == {"succeeded"}
    assert {call["coalesced_into"] for call in calls.values() if call["state"] == "coalesced"} <= {call["id"] for call in ran}
    assert len(list_running(api)) == 1


def test_a_storm_of_scale_calls_adds_up(console, api: docker.APIClient, image):
    image("many:1", **SLEEP)
    project = Project(api, "many")
    for number in range(SERVICES):
        project.add(f"web{number}", "many:1")
    triggers = [console.create_trigger("many", "scaling", f"web{number}") for number in range(SERVICES)]
    number = CALLS // 10
    call_links([f"{triggers[place % SERVICES]['link']}&type=scale_out&step=1" for place in range(number)])
    eventually(lambda: not count_live(console), within=300, what="all calls have ended")
    for trigger in triggers:
        assert {call["state"] for call in list_calls(console, trigger)} == {"succeeded"}
    running = Counter(name.split("-")[1] for name in list_running(api))
    assert running == {f"web{place}": 1 + len(range(place, number, SERVICES)) for place in range(SERVICES)}
