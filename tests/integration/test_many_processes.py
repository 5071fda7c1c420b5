"""The parts of compose.yaml as separate processes: two webs, two workers and two watchers over PostgreSQL and Redis, and two
webs and two workers in one data folder over SQLite. Storms, restarts and losses, judged by what then runs on a real engine."""

import http.client
import os
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness.console import BASE_DIR
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.parts import Answer, Parts, ask, call_any_web, call_web, run_parts
from tests.harness.postgres import PrivatePostgres, run_postgres_server
from tests.harness.proc import find_free_port
from tests.harness.projects import Project, create_container, list_running, read_ids
from tests.harness.redis import PrivateRedis, run_redis_server

SLEEP = {"Cmd": ["sleep", "3600"], "StopSignal": "SIGKILL"}
SECOND = 10**9  # in nanoseconds, as the engine counts
CALL_FIELDS = "id, state, reason, coalesced_into_id, queued_at, started_at, attempts"


@dataclass
class Servers:
    parts: Parts
    postgres: PrivatePostgres
    redis: PrivateRedis


@pytest.fixture(scope="module")
def servers(session_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    names = ("web1", "web2", "worker1", "worker2", "watch1", "watch2")
    with run_postgres_server() as postgres, run_redis_server(folder) as redis:
        environment = {"DATABASE_URL": postgres.url, "BROKER_URL": redis.url}
        with run_parts(folder, session_engine.endpoint_url, *names, hosts=2, **environment) as parts:
            yield Servers(parts, postgres, redis)


@pytest.fixture(scope="module")
def embedded(session_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Run on a disk so small that a test can fill it."""
    folder = tmp_path_factory.mktemp("embedded")
    names = ("web1", "web2", "worker1", "worker2", "watch1")
    with mount_small(folder / "data", "64m"), run_parts(folder, session_engine.endpoint_url, *names) as parts:
        yield parts


@contextmanager
def mount_small(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "windlass-test", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture
def name(unique_name: Callable[[str], str]) -> str:
    return unique_name("many")


@dataclass
class Gate:
    """New containers become healthy once it is open, so a redeploy lasts as long as a test wants."""

    folder: Path

    def open(self) -> None:
        (self.folder / "open").touch()

    def close(self) -> None:
        (self.folder / "open").unlink()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    folder = tmp_path / "gate"
    folder.mkdir()
    return Gate(folder)


def make_shop(api: docker.APIClient, name: str, image: Callable[..., str], gate: Gate) -> None:
    """Make the application `name` with one service, whose new containers wait at the gate. The first one runs."""
    check = {"Test": ["CMD", "ls", "/gate/open"], "Interval": 3 * SECOND // 2, "Timeout": 5 * SECOND, "Retries": 1000}
    image(f"{name}:1", Healthcheck=check, **SLEEP)
    gate.open()
    Project(api, name).add("web", f"{name}:1", HostConfig={"Binds": [f"{gate.folder}:/gate:ro"]})
    gate.close()


def list_calls(parts: Parts, trigger: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rows of the trigger's calls by id."""
    rows = parts.query(f"SELECT {CALL_FIELDS} FROM triggers_triggercall WHERE trigger_id = '{trigger['id']}'")
    calls = [dict(zip(CALL_FIELDS.split(", "), row, strict=True)) for row in rows]
    return {str(call["id"]).replace("-", ""): call for call in calls}


def wait_until_quiet(parts: Parts, trigger: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the calls once all of them have ended."""

    def find_ended() -> dict[str, dict[str, Any]] | None:
        calls = list_calls(parts, trigger)
        return calls if all(call["state"] not in {"queued", "running"} for call in calls.values()) else None

    return eventually(find_ended, within=90, every=0.2, what="every call has ended")


def find_running(parts: Parts, trigger: dict[str, Any]) -> dict[str, Any] | None:
    return next((call for call in list_calls(parts, trigger).values() if call["state"] == "running"), None)


def raise_storm(parts: Parts, link: str, calls: int, threads: int = 16) -> list[Answer]:
    """Make all calls as fast as they are answered, over connections to both webs that stay open."""
    ports = [parts.ports["web1"], parts.ports["web2"]]
    target = link[link.index("/hook/") :]
    answers: list[Answer] = []

    def call(number: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", ports[number % 2], timeout=120)) as connection:
            for _ in range(number, calls, threads):
                answers.append(ask(connection, target))

    callers = [threading.Thread(target=call, args=(number,)) for number in range(threads)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return answers


@pytest.mark.parametrize(("place", "storm"), [("servers", 400), ("embedded", 200)])
def test_a_storm_over_two_webs_costs_two_redeploys(request, place, storm, api, name, image, gate):
    made = request.getfixturevalue(place)
    parts: Parts = made.parts if isinstance(made, Servers) else made
    make_shop(api, name, image, gate)
    trigger = parts.console("web1").create_trigger(name, "redeploy")
    before = read_ids(api)

    answers = raise_storm(parts, trigger["link"], storm)
    gate.open()  # the first redeploy lasts for as long as the storm
    calls = wait_until_quiet(parts, trigger)

    statuses = Counter(answer.status for answer in answers)
    assert statuses.keys() <= {200, 429}, statuses
    assert sum(statuses.values()) == storm
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status == 429)
    assert calls.keys() == {answer.body["requestId"].replace("-", "") for answer in answers if answer.status == 200}
    ran = {key for key, call in calls.items() if call["state"] == "succeeded"}
    assert 1 <= len(ran) <= 2
    for call in calls.values():
        covering = calls[str(call["coalesced_into_id"] or call["id"]).replace("-", "")]
        assert covering["state"] == "succeeded", call
        assert covering["started_at"] >= call["queued_at"]
        assert covering["attempts"] == 1
    after = read_ids(api)
    assert (after.keys(), set(after.values()) & set(before.values())) == (before.keys(), set())


def test_the_health_check_of_the_image_is_right_about_a_web_that_answers_and_one_that_does_not(servers):
    def probe(port: int) -> int:
        environment = {**os.environ, "WINDLASS_PORT": str(port)}
        return subprocess.run(
            [sys.executable, "-m", "console.telemetry.probe"], cwd=BASE_DIR, env=environment, check=False
        ).returncode

    assert probe(servers.parts.ports["web1"]) == 0
    assert probe(find_free_port()) == 1


def test_a_rolling_restart_loses_nothing_and_answers_everything(servers, api, name, image):
    parts: Parts = servers.parts
    image(f"{name}:1", **SLEEP)
    Project(api, name).add("web", f"{name}:1")
    trigger = parts.console("web1").create_trigger(name, "scaling", "web")
    ports = [parts.ports["web1"], parts.ports["web2"]]
    steps: list[int] = []
    answers: list[Answer] = []
    failures: list[Exception] = []
    done = threading.Event()

    def keep_calling() -> None:
        while not done.wait(0.7):
            step = -1 if len(steps) % 3 == 2 else 1  # two out, one in
            steps.append(step)
            kind = "scale_out" if step > 0 else "scale_in"
            first = len(steps) % 2
            order = [ports[first], ports[1 - first]]
            answers.append(call_any_web(order, f"{trigger['link']}&type={kind}&step=1", failures.append))

    caller = threading.Thread(target=keep_calling)
    caller.start()
    try:
        for part in ("web1", "worker1", "web2", "worker2"):
            parts.stop(part)
            parts.start(part)
    finally:
        done.set()
        caller.join()
    calls = wait_until_quiet(parts, trigger)
    assert not [answer for answer in answers if answer.status != 200]
    assert len(answers) == len(steps) == len(calls)
    assert {call["state"] for call in calls.values()} == {"succeeded"}, calls
    assert {type(failure) for failure in failures} <= {ConnectionRefusedError, ConnectionResetError}
    assert len([found for found in list_running(api) if found.startswith(f"{name}-web-")]) == 1 + sum(steps)


def test_the_work_of_a_killed_worker_and_a_killed_watcher_is_taken_over(servers, api, name, image, gate):
    """They are not started again; one of each remains for the tests below."""
    parts: Parts = servers.parts
    make_shop(api, name, image, gate)
    trigger = parts.console("web1").create_trigger(name, "redeploy")
    assert call_web(parts.ports["web1"], trigger["link"]).status == 200
    eventually(lambda: find_running(parts, trigger), within=20, what="the call runs")

    owner = parts.query("SELECT lease_owner FROM triggers_triggercall WHERE state = 'running'")[0][0]
    worker = parts.find_owner("worker", owner)
    watcher = parts.find_owner("watch", parts.query("SELECT owner FROM clusters_lease WHERE name LIKE 'cluster %'")[0][0])
    parts.kill(worker)
    parts.kill(watcher)

    create_container(api, f"{name}-later", f"{name}:1")
    found = f"SELECT 1 FROM clusters_container WHERE name = '{name}-later'"
    eventually(lambda: parts.query(found), within=30, what="the other watcher has seen the new container")
    gate.open()
    call = next(iter(wait_until_quiet(parts, trigger).values()))
    assert (call["state"], call["attempts"]) == ("succeeded", 2)
    assert list_running(api) == {f"{name}-web-1", f"{name}-later"}


def test_calls_continue_after_the_database_and_the_broker_have_crashed(servers, api, name, image, gate):
    parts: Parts = servers.parts
    make_shop(api, name, image, gate)
    trigger = parts.console("web1").create_trigger(name, "redeploy")
    web1, web2 = parts.ports["web1"], parts.ports["web2"]
    assert call_web(web1, trigger["link"]).status == 200
    eventually(lambda: find_running(parts, trigger), within=20, what="the call runs")

    servers.redis.crash()
    accepted = call_web(web2, trigger["link"])
    assert (accepted.status, accepted.body["state"]) == (200, "queued")  # its message is lost
    servers.postgres.crash()
    refused = call_web(web1, trigger["link"])
    assert (refused.status, refused.body["code"]) == (503, "503")
    assert int(refused.headers["Retry-After"]) > 0
    servers.postgres.start()
    servers.redis.start()
    gate.open()

    calls = wait_until_quiet(parts, trigger)
    assert [call["state"] for call in calls.values()] == ["succeeded"] * 2
    assert list_running(api) == {f"{name}-web-1"}
    assert call_web(web1, f"{trigger['link']}&wait=60").status == 200


def test_a_call_waits_for_a_locked_database(embedded, api, name, image):
    image(f"{name}:1", **SLEEP)
    Project(api, name).add("web", f"{name}:1")
    trigger = embedded.console("web1").create_trigger(name, "redeploy")
    answers: list[Answer] = []
    caller = threading.Thread(target=lambda: answers.append(call_web(embedded.ports["web2"], f"{trigger['link']}&wait=60")))
    database = Path(embedded.environment["WINDLASS_DATA_DIR"], "windlass.sqlite3")
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        caller.start()
        caller.join(3)  # seconds that it is locked for
        assert not answers
        connection.execute("ROLLBACK")
    caller.join()
    assert answers[0].status == 200
    assert answers[0].body["state"] == "succeeded"


def test_a_full_disk_is_a_503_until_there_is_room_again(embedded, api, name, image):
    image(f"{name}:1", **SLEEP)
    Project(api, name).add("web", f"{name}:1")
    trigger = embedded.console("web1").create_trigger(name, "redeploy")
    web = embedded.ports["web1"]
    filler = Path(embedded.environment["WINDLASS_DATA_DIR"], "filler")

    fill_up(filler)
    refused = eventually(lambda: refuse(web, trigger["link"]), within=30, what="there is no room for a call")
    assert (refused.status, refused.body["code"]) == (503, "503")
    assert int(refused.headers["Retry-After"]) > 0

    filler.unlink()
    answer = eventually(lambda: accept(web, f"{trigger['link']}&wait=60"), within=60, what="a call is accepted again")
    assert answer.body["state"] == "succeeded"
    assert {call["state"] for call in wait_until_quiet(embedded, trigger).values()} <= {"succeeded", "coalesced"}


def fill_up(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))


def refuse(port: int, link: str) -> Answer | None:
    """Return a refusal; None while SQLite still finds room for a call in the pages that it has."""
    answer = call_web(port, link)
    return answer if answer.status != 200 else None


def accept(port: int, link: str) -> Answer | None:
    answer = call_web(port, link)
    return answer if answer.status == 200 else None
