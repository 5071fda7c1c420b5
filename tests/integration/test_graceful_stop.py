"""Cancelling a call that runs on a real engine, and stopping the worker and the web process during calls."""

import contextlib
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from tests.harness.console import BASE_DIR, RunningConsole, call_link, is_served, run_console
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.proc import start_process, stop_process
from tests.harness.projects import Project, list_running, read_ids
from tests.integration.test_up import find_parts, wait_for_parts

SLEEP = {"Cmd": ["sleep", "3600"], "StopSignal": "SIGKILL"}


@pytest.fixture(scope="module")
def console(session_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """A console with leases so long that none runs out, and so no call is taken over for that."""
    environment = {"WINDLASS_LEASE_SECONDS": "300", "WINDLASS_STOP_GRACE_SECONDS": "0"}
    with run_console(tmp_path_factory.mktemp("stop") / "data", session_engine.endpoint_url, **environment) as running:
        yield running


@pytest.fixture
def name(unique_name: Callable[[str], str], api: docker.APIClient, image: Callable[..., str]) -> str:
    """Make an application of one container that is watched for some seconds, and a newer image for it."""
    name = unique_name("stop")
    image(f"{name}:1", **SLEEP)
    Project(api, name).add("web", f"{name}:1", labels={"windlass.update.monitor": "4s"})
    image(f"{name}:1", **SLEEP)
    return name


def start_redeploy(console: RunningConsole, name: str) -> str:
    """Start a redeploy. Return its id once it watches the new container."""
    trigger = console.create_trigger(name, "redeploy")
    call = str(call_link(trigger)[1]["requestId"])
    eventually(lambda: "watch" in read_operations(console, call), within=60, what="the new container is watched")
    return call


def read_call(console: RunningConsole, call: str) -> dict[str, Any]:
    return console.request("GET", f"/api/v1/calls/{call}/")[1]


def read_operations(console: RunningConsole, call: str) -> list[str]:
    return [event["operation"] for event in read_call(console, call)["events"]]


def wait_for_end(console: RunningConsole, call: str) -> dict[str, Any]:
    eventually(lambda: read_call(console, call)["completed_at"], within=60, what="the call has ended")
    return read_call(console, call)


def find_worker(console: RunningConsole, call: str) -> int:
    """Return the pid of the process that holds the call's lease."""
    with contextlib.closing(sqlite3.connect(console.data_dir / "windlass.sqlite3", timeout=30)) as database:
        query = "SELECT lease_owner FROM triggers_triggercall WHERE id = ?"
        return int(database.execute(query, [call.replace("-", "")]).fetchone()[0].split(":")[1])


def test_a_cancelled_redeploy_brings_the_previous_container_back(console, api, name):
    before = read_ids(api)
    call = start_redeploy(console, name)
    status, answer = console.request("POST", f"/api/v1/calls/{call}/cancel/")
    assert (status, answer["cancelled_by"]) == (202, "admin")
    ended = wait_for_end(console, call)
    assert (ended["state"], ended["reason"]) == ("rolled_back", "cancelled"), ended
    assert ended["message"] == "Cancelled by admin. The previous container is running again."
    assert read_ids(api) == before
    assert list_running(api) == set(before)


def test_a_worker_that_is_stopped_hands_over_its_call(console, api, name):
    wait_for_parts(console)
    log = console.data_dir.parent / "second.log"
    second = start_process([sys.executable, str(BASE_DIR / "manage.py"), "worker"], log, console.environment)
    try:
        before = read_ids(api)
        call = start_redeploy(console, name)
        os.kill(find_worker(console, call), signal.SIGTERM)
        ended = wait_for_end(console, call)
    finally:
        stop_process(second, grace=30)
    assert ended["state"] == "succeeded", ended
    operations = [event["operation"] for event in ended["events"]]
    assert operations.index("hand over") + 1 == operations.index("resume"), operations
    assert not any(event["level"] == "error" for event in ended["events"])
    assert list_running(api) == set(read_ids(api)) == set(before)
    assert set(read_ids(api).values()).isdisjoint(before.values())


def test_waiting_callers_are_answered_when_the_web_process_is_stopped(console, api, name):
    trigger = console.create_trigger(name, "redeploy")
    web = wait_for_parts(console)["web"]
    answers: list[tuple[int, dict[str, Any]]] = []
    callers = [threading.Thread(target=lambda: answers.append(call_link(trigger, wait=60))) for _ in range(5)]
    for caller in callers:
        caller.start()
    path = f"/api/v1/calls/?trigger={trigger['id']}"
    eventually(lambda: len(console.request("GET", path)[1]["results"]) == 5, within=60, what="all calls are recorded")
    os.kill(web, signal.SIGTERM)
    for caller in callers:
        caller.join(60)
    messages = {status: answer["message"] for status, answer in answers}
    assert len(answers) == 5
    assert 504 in messages, "the redeploys were over before the web process was stopped"
    assert messages[504] == "The console is restarting. The call continues; get its outcome from statusUrl."
    eventually(lambda: is_served(f"{console.url}/login/"), within=60, what="the console is served again")
    assert find_parts(console.process.pid)["web"] != web
    for _, answer in answers:
        assert wait_for_end(console, answer["requestId"])["state"] in {"succeeded", "coalesced"}
