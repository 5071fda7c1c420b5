"""Sends a storm of redeploy calls for one application: `python -m bench --only storm`.

The peer is adnanh/webhook with a hook that runs `docker restart`, which is less work than a redeploy. It starts one program per
call at once, and the engine handles them one after the other. To finish in time, the peer gets fewer calls, and its figures are
scaled up. That favours the peer: a thousand parallel programs would need about 20 GB.

The container keeps Windlass's monitor period of 5 s, so a redeploy takes longer than sending the calls, and one more redeploy
covers all calls that arrive meanwhile. Times end when all is quiet: every call and every program has ended. Redeploys are
counted on the engine, as starts of containers. CPU seconds are those of Windlass's processes, of webhook with its programs, and
of the engine.
"""

import contextlib
import http.client
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bench.processes import list_tree, read_cpu
from bench.site import PATIENCE, Site, run_site
from bench.table import Row, compare, hold_against
from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, find_program, start_process, stop_process

PROJECT = "storm"
CALLERS = 16  # connections
PEER_CALLS = 50
MOST_REDEPLOYS = 2  # the one that starts with the storm, and one that covers all later calls


@dataclass
class Storm:
    """Seconds until all calls were answered and until all was quiet, the number of started containers, and CPU seconds."""

    answered: float
    quiet: float
    starts: int
    cpu: float
    engine_cpu: float


def measure(calls: int = 1000, peer_calls: int = PEER_CALLS) -> Iterable[Row]:
    with run_site() as site:
        site.make_project(PROJECT, labels={}).up()
        ours = storm_windlass(site, calls)
        with site.stilled():
            theirs = storm_webhook(site, peer_calls)
    factor = calls / peer_calls
    peer = f"webhook, docker restart, {factor:g} x {peer_calls} calls"
    name = f"{calls:,} calls"
    yield compare(f"{name}: until all are answered", [ours.answered], [theirs.answered * factor], "s", peer)
    yield compare(f"{name}: until quiet", [ours.quiet], [theirs.quiet * factor], "s", peer, at_most=1)
    redeploys = [theirs.starts * factor]
    yield hold_against(f"{name}: redeploys", [ours.starts], "", at_most=MOST_REDEPLOYS, peer=peer, theirs=redeploys)
    yield compare(f"{name}: CPU of the program", [ours.cpu], [theirs.cpu * factor], "s", peer, at_most=1)
    yield compare(f"{name}: CPU of the engine", [ours.engine_cpu], [theirs.engine_cpu * factor], "s", peer, at_most=1)


def storm_windlass(site: Site, calls: int) -> Storm:
    trigger = site.console.create_trigger(PROJECT, "redeploy")
    site.settle()
    with measured(site, site.console.process.pid) as storm:
        started = time.perf_counter()
        send_calls(trigger["link"], calls)
        storm.answered = time.perf_counter() - started
        eventually(lambda: count_live_calls(site) == 0, within=PATIENCE, every=0.02, what="all calls have ended")
        storm.quiet = time.perf_counter() - started
    return storm


def count_live_calls(site: Site) -> int:
    """Count the calls in the console's database. A page or the API would cause work in the console."""
    with contextlib.closing(sqlite3.connect(site.console.data_dir / "windlass.sqlite3", timeout=30)) as database:
        question = "SELECT count(*) FROM triggers_triggercall WHERE state IN ('queued', 'running')"
        return int(database.execute(question).fetchone()[0])


def storm_webhook(site: Site, calls: int) -> Storm:
    with run_webhook(site) as (pid, url), measured(site, pid) as storm:
        started = time.perf_counter()
        send_calls(url, calls)
        storm.answered = time.perf_counter() - started
        eventually(lambda: len(list_tree(pid)) == 1, within=PATIENCE, every=0.02, what="all programs have ended")
        storm.quiet = time.perf_counter() - started
    return storm


@contextlib.contextmanager
def run_webhook(site: Site) -> Iterator[tuple[int, str]]:
    """Run webhook. Yields its process id and the hook's address."""
    webhook, docker = find_program("webhook"), find_program("docker")
    if not webhook or not docker:
        raise SystemExit("This benchmark needs webhook and docker. On Debian: apt-get install webhook docker.io")
    container = site.list_containers(PROJECT)[0]
    arguments = [{"source": "string", "name": word} for word in ("restart", container)]
    hooks = site.folder / "hooks.json"
    hooks.write_text(json.dumps([{"id": "restart", "execute-command": docker, "pass-arguments-to-command": arguments}]))
    port = find_free_port()
    command = [webhook, "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port)]
    process = start_process(command, site.folder / "webhook.log", {"DOCKER_HOST": site.engine.endpoint_url})
    try:
        eventually(lambda: answers(port), what="webhook answers")
        yield process.pid, f"http://127.0.0.1:{port}/hooks/restart"
    finally:
        stop_process(process)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    return False


@contextlib.contextmanager
def measured(site: Site, pid: int) -> Iterator[Storm]:
    """Measure the CPU seconds of the tree of `pid` and of the engine, and count the containers that start."""
    storm = Storm(0, 0, 0, 0, 0)
    api: Any = site.api  # its types do not allow fractions of a second
    assert site.engine.daemon
    engine = site.engine.daemon.process.pid
    since, cpu, engine_cpu = f"{time.time():.6f}", read_cpu(pid), read_cpu(engine)
    yield storm
    storm.cpu, storm.engine_cpu = read_cpu(pid) - cpu, read_cpu(engine) - engine_cpu
    filters = {"type": "container", "event": "start"}
    storm.starts = len(list(api.events(since=since, until=f"{time.time():.6f}", filters=filters)))


def send_calls(url: str, calls: int) -> None:
    """Send calls over a few connections, as fast as possible. Raises AssertionError for a status other than 200."""
    parts = urlsplit(url)

    def send(share: range) -> None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            for _ in share:
                connection.request("POST", f"{parts.path}?{parts.query}")
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status

    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(send, [range(caller, calls, CALLERS) for caller in range(CALLERS)]))
