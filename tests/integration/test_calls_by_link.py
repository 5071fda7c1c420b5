"""The whole path with real parts: link → web → queue → worker → engine, and the answers to callers."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness.console import RunningConsole, call_link, open_url, run_console
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.postgres import run_postgres
from tests.harness.projects import Project, list_names, list_running, read_ids
from tests.harness.redis import run_redis

SLEEP = {"Cmd": ["sleep", "3600"], "StopSignal": "SIGKILL"}


@pytest.fixture(scope="module", params=["embedded", "servers"])
def console(
    request: pytest.FixtureRequest, session_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningConsole]:
    """Run once on SQLite with the queue in a folder, and once on PostgreSQL and Redis."""
    folder = tmp_path_factory.mktemp("console")
    with ExitStack() as servers:
        environment = {}
        if request.param == "servers":
            environment["DATABASE_URL"] = servers.enter_context(run_postgres())
            environment["BROKER_URL"] = servers.enter_context(run_redis(folder))
        yield servers.enter_context(run_console(folder / "data", session_engine.endpoint_url, **environment))


@pytest.fixture
def name(unique_name: Callable[[str], str]) -> str:
    return unique_name("shop")


@pytest.fixture
def app(api: docker.APIClient, name: str, image: Callable[..., str]) -> Project:
    """Make an application with the services `web` (two containers) and `worker`, both of the image `<name>:1`."""
    image(f"{name}:1", **SLEEP)
    project = Project(api, name)
    for number in (1, 2):
        project.add("web", f"{name}:1", number)
    project.add("worker", f"{name}:1")
    return project


def images_of(api: docker.APIClient, names: set[str]) -> set[str]:
    return {api.inspect_container(name)["Image"] for name in names}


def wait_for_end(answer: dict[str, Any]) -> dict[str, Any]:
    return open_url(f"{answer['statusUrl']}&wait=120")[1]


def test_a_link_redeploys_with_the_new_image(console, api, app, name, image):
    trigger = console.create_trigger(name, "redeploy")
    before = read_ids(api)
    image(f"{name}:1", **SLEEP)
    status, answer = call_link(trigger, wait=120)
    assert (status, answer["code"], answer["state"]) == (200, "200", "succeeded"), answer
    after = read_ids(api)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert images_of(api, set(after)) == {api.inspect_image(f"{name}:1")["Id"]}


def test_a_link_adds_five_containers_and_removes_three(console, api, app, name):
    trigger = console.create_trigger(name, "scaling", "web")
    status, answer = call_link(trigger, type="scale_out", step=5, wait=120)
    assert (status, answer["state"]) == (200, "succeeded"), answer
    assert list_running(api) == {f"{name}-web-{number}" for number in range(1, 8)} | {f"{name}-worker-1"}
    status, answer = call_link(trigger, type="scale_in", step=3, wait=120)
    assert (status, answer["state"]) == (200, "succeeded"), answer
    assert list_names(api) == {f"{name}-web-{number}" for number in range(1, 5)} | {f"{name}-worker-1"}


def test_a_crashing_image_is_rolled_back_and_the_caller_gets_a_failure(console, api, app, name, image):
    trigger = console.create_trigger(name, "redeploy", "web")
    before = read_ids(api)
    image(f"{name}:1", Cmd=["/bin/sh", "-c", "echo mounting; echo fatal: no disk >&2; exit 3"])
    status, answer = call_link(trigger, wait=120)
    assert (status, answer["state"]) == (500, "rolled_back"), answer
    assert read_ids(api) == before
    assert list_running(api) == set(before)
    call = console.request("GET", f"/api/v1/calls/{answer['requestId']}/")[1]
    assert call["state"] == "rolled_back"
    assert call["plan"]
    assert call["events"]
    assert call["message"] == answer["message"]
    assert answer["message"].endswith("printed: fatal: no disk")
    failure = answer["failure"]
    assert (failure["image"], failure["firstErrorLine"], failure["failed"]) == (f"{name}:1", "fatal: no disk", 1)
    (evidence,) = console.request("GET", f"/api/v1/calls/{answer['requestId']}/evidence/")[1]
    assert (evidence["name"], evidence["service"], evidence["exit_code"]) == (failure["container"], "web", 3)
    lines = {(line["stream"], line["text"]) for line in evidence["lines"]}
    assert lines == {("stdout", "mounting"), ("stderr", "fatal: no disk")}


def test_a_link_brings_up_what_has_crashed_and_leaves_what_was_stopped_here(console, api, app, name, image):
    trigger = console.create_trigger(name, "redeploy", "worker")
    worker = f"{name}-worker-1"
    api.kill(worker)
    slow = {"Test": ["CMD", "/bin/true"], "Interval": 3_000_000_000, "Timeout": 3_000_000_000, "Retries": 1}
    image(f"{name}:1", **SLEEP, Healthcheck=slow)
    answer = call_link(trigger)[1]
    waiting = "at the latest for the health check of " + worker
    eventually(lambda: waiting in open_url(answer["statusUrl"])[1]["message"])
    ended = wait_for_end(answer)
    assert ended["state"] == "succeeded", ended
    assert ended["message"].startswith(f"1 container of {name}/worker now runs sha256:")
    assert worker in list_running(api)

    stop = console.request("POST", f"/api/v1/applications/{trigger['application']}/stop/", {"container": worker})[1]
    eventually(lambda: console.request("GET", f"/api/v1/calls/{stop['id']}/")[1]["state"] == "succeeded")
    message = call_link(trigger, wait=120)[1]["message"]
    assert f"{worker} was replaced and stays stopped: it was stopped in Windlass" in message
    assert worker not in list_running(api)


def test_scale_calls_made_at_once_add_up(console, api, app, name):
    trigger = console.create_trigger(name, "scaling", "worker")
    answers: list[tuple[int, dict[str, Any]]] = []
    callers = [threading.Thread(target=lambda: answers.append(call_link(trigger, type="scale_out", step=1))) for _ in range(10)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert {status for status, _ in answers} == {200}
    assert {wait_for_end(answer)["state"] for _, answer in answers} == {"succeeded"}
    assert len([name for name in list_running(api) if "worker" in name]) == 11


def test_redeploys_made_at_once_run_at_most_twice(console, api, app, name):
    trigger = console.create_trigger(name, "redeploy", "worker")
    answers = [call_link(trigger)[1] for _ in range(10)]
    ended = [wait_for_end(answer) for answer in answers]
    assert {answer["state"] for answer in ended} == {"succeeded"}
    ran = [call for call in console.request("GET", "/api/v1/calls/?limit=10")[1]["results"] if call["state"] != "coalesced"]
    assert 1 <= len([call for call in ran if call["trigger"] == trigger["id"]]) <= 2


def test_two_hundred_waiting_callers_do_not_delay_a_plain_call(console, api, app, name, image):
    image(f"{name}:1", Cmd=["sleep", "3600"], Healthcheck={"Test": ["CMD", "false"], "Interval": 10**9, "Retries": 600})
    slow = console.create_trigger(name, "redeploy", "worker")
    answer = call_link(slow)[1]
    eventually(lambda: open_url(answer["statusUrl"])[1]["state"] == "running", what="the slow call runs")
    statuses: list[int] = []
    waiting = [
        threading.Thread(target=lambda: statuses.append(open_url(f"{answer['statusUrl']}&wait=8")[0])) for _ in range(200)
    ]
    for caller in waiting:
        caller.start()
    time.sleep(1.0)  # by now they all wait; none has been answered
    assert not statuses
    for _ in range(20):
        assert call_link(slow)[0] == 200
    assert not statuses  # all twenty were answered while the two hundred waited
    for caller in waiting:
        caller.join()
    assert set(statuses) == {504}


def test_a_worker_that_is_killed_in_the_middle_costs_only_time(console, api, app, name, image):
    trigger = console.create_trigger(name, "redeploy", "web")
    image(f"{name}:1", **SLEEP)
    answer = call_link(trigger)[1]
    eventually(lambda: any(".windlass-" in found for found in list_names(api)), within=20, what="a recreate is under way")
    os.kill(find_part(console, "worker"), signal.SIGKILL)
    ended = wait_for_end(answer)
    assert ended["state"] == "succeeded", ended
    assert list_names(api) == {f"{name}-web-1", f"{name}-web-2", f"{name}-worker-1"}
    assert images_of(api, {f"{name}-web-1", f"{name}-web-2"}) == {api.inspect_image(f"{name}:1")["Id"]}


def find_part(console: RunningConsole, part: str) -> int:
    """Return the pid of a part of the console, such as `worker`."""
    children = Path(f"/proc/{console.process.pid}/task/{console.process.pid}/children").read_text().split()
    for pid in children:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if part in words:
            return int(pid)
    raise AssertionError(f"{part} is not running")
