"""Measures what an accepted call costs and how soon a worker starts it: `python -m bench.hook [rounds]`. Needs wrk and webhook.

Links are called over persistent connections, 1, 16 and 64 at a time. A call is committed before the response. The peers run on
the same machine and take turns with Windlass:
- a bare Django view (bench/bare): the same server with the same threads, the same database and rows. It finds the trigger and
  records a call in a transaction, and does nothing else: no secret, no queue, no middleware, no log;
- adnanh/webhook, which runs a command that does nothing for each request, and records nothing.

No worker runs, so calls stay queued; they are deleted between two turns. Each call is a row. There are two kinds: scale calls,
each of another application, so that each is queued, counted and published; and redeploys of one application, of which all but
the first are coalesced.

The last figure is the time from sending a call to the worker's first request to the engine. The engine is a socket that notes
that time and refuses. Only web and worker run.

`python -m tests.harness.postgres -- python -m bench.hook` measures the same with PostgreSQL.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from bench.processes import read_cpu
from bench.table import Row, compare, format_table, hold_against
from bench.turns import take_turns
from clusters.models import Application, Cluster, Service
from tests.harness.console import BASE_DIR
from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, find_program, start_process, stop_process
from triggers.models import ACTIVE_STATES, Action, Trigger, TriggerCall
from triggers.selectors import build_trigger_link

ROUNDS = 5
SECONDS = 2  # per turn
CONNECTIONS = (1, 16, 64)
APPLICATIONS = 1000
FIRST_REQUESTS = 40
RATE_GOAL, FIRST_REQUEST_GOAL = 0.6, 50  # ratio to the bare view; ms
BENCH = BASE_DIR / "bench"
BARE, WEBHOOK = "bare view", "adnanh/webhook"


@dataclass(frozen=True)
class Load:
    """`rate` in calls per second, times in milliseconds; `cpu` is the server's CPU time per call."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True)
class Server:
    name: str
    pid: int
    port: int

    def put_under_load(self, paths: Path, connections: int, seconds: float = SECONDS) -> Load:
        """Measure the server under load. Raises SystemExit if a call gets no response or one other than 200."""
        command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", "--timeout=30s"]
        url = f"http://127.0.0.1:{self.port}"
        used = read_cpu(self.pid)
        done = subprocess.run(
            [*command, "--script", str(BENCH / "hook.lua"), url],
            env={**os.environ, "PATHS": str(paths)},
            capture_output=True,
            text=True,
            check=True,
        )
        used = read_cpu(self.pid) - used
        figures = json.loads(done.stdout.strip().rpartition("\n")[2])
        if figures["failed"] or not figures["requests"]:
            raise SystemExit(f"{figures['failed']} of {figures['requests']} calls to {self.name} failed.")
        rate = figures["requests"] / figures["microseconds"] * 1e6
        return Load(rate, figures["p50"] / 1000, figures["p99"] / 1000, used * 1000 / figures["requests"])


def main() -> None:
    rows = measure(*map(int, sys.argv[1:]))
    print(format_table(rows))


def measure(rounds: int = ROUNDS) -> Iterable[Row]:
    for program in ("wrk", "webhook"):
        if not find_program(program):
            raise SystemExit(f"This benchmark needs {program}. On Debian: apt-get install {program}")
    call_command("migrate", verbosity=0)
    with tempfile.TemporaryDirectory() as name:
        yield from measure_answers(Path(name), rounds)
        yield measure_first_request(Path(name))


def measure_answers(folder: Path, rounds: int) -> Iterable[Row]:
    kinds = write_paths(folder)
    connections.close_all()
    with ExitStack() as servers:
        bare = {"DJANGO_SETTINGS_MODULE": "bare_settings", "PYTHONPATH": str(BENCH / "bare")}
        started = [serve(folder, "web", "hook", {}), serve(folder, "web", BARE, bare), serve_webhook(folder)]
        entered = [servers.enter_context(server) for server in started]
        for server in entered:
            call_once(server, kinds["redeploys"])  # so that lazy imports are done
        for kind, paths in kinds.items():
            for number in CONNECTIONS:
                works = [partial(take_turn, server, paths, number) for server in entered]
                yield from judge(f"{kind}, {number} at a time", *take_turns(rounds, works))


def take_turn(server: Server, paths: Path, number: int) -> Load:
    delete_calls()  # also those that were in progress when the previous turn ended
    return server.put_under_load(paths, number)


def delete_calls() -> None:
    TriggerCall.objects.all().delete()
    connections.close_all()
    for message in (settings.QUEUE_DIR / "messages").iterdir():
        message.unlink(missing_ok=True)  # one that is being written gets its name at this moment


def judge(name: str, hook: list[Load], bare: list[Load], webhook: list[Load]) -> Iterable[Row]:
    def pick(figure: str, loads: list[Load]) -> list[float]:
        return [getattr(load, figure) for load in loads]

    yield compare(name, pick("rate", hook), pick("rate", bare), "/s", BARE, at_least=RATE_GOAL)
    yield compare(name, pick("rate", hook), pick("rate", webhook), "/s", WEBHOOK)
    for figure, unit in (("p50", "ms, p50"), ("p99", "ms, p99"), ("cpu", "ms of CPU")):
        yield compare(name, pick(figure, hook), pick(figure, bare), unit, BARE)


def write_paths(folder: Path) -> dict[str, Path]:
    """Write files of addresses to call, and return them by the kind of call."""
    triggers = make_triggers("unix:///nonexistent", APPLICATIONS, Action.SCALING)
    addresses = {
        "scale calls": [f"{build_trigger_link(trigger, '')}&type=scale_out&step=1" for trigger in triggers],
        "redeploys": [build_trigger_link(trigger, "") for trigger in make_triggers("unix:///none", 1, Action.REDEPLOY)],
    }
    files = {kind: folder / kind.replace(" ", "-") for kind in addresses}
    for kind, file in files.items():
        file.write_text("\n".join(addresses[kind]) + "\n")
    return files


def make_triggers(url: str, number: int, action: Action) -> list[Trigger]:
    """Create triggers, each for an application of its own."""
    cluster = Cluster.objects.create(name=f"bench {time.time_ns()}", url=url)
    applications = Application.objects.bulk_create(
        Application(cluster=cluster, name=f"app-{place}", source=Application.Source.COMPOSE) for place in range(number)
    )
    services = Service.objects.bulk_create(Service(application=application, name="web") for application in applications)
    return Trigger.objects.bulk_create(
        Trigger(application=service.application, service=service if action == Action.SCALING else None, action=action)
        for service in services
    )


@contextmanager
def serve(folder: Path, part: str, name: str, environment: dict[str, str], tree: Path = BASE_DIR) -> Iterator[Server]:
    """Run one part of the console in `tree`, with this process's database and queue."""
    port = find_free_port()
    variables = {
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "WINDLASS_DATA_DIR": str(settings.DATA_DIR),
        "WINDLASS_PORT": str(port),
        "WINDLASS_QUEUE_LIMIT": "1000000",
        "WINDLASS_TRIGGER_QUEUE_LIMIT": "1000000",
        "MALLOC_ARENA_MAX": "2",
        **environment,
    }
    command = [sys.executable, str(tree / "manage.py"), part]
    with kept(name, start_process(command, folder / f"{name}.log", variables), port, part == "web") as server:
        yield server


@contextmanager
def serve_webhook(folder: Path) -> Iterator[Server]:
    port = find_free_port()
    hooks = folder / "hooks.json"
    hooks.write_text(json.dumps([{"id": "trigger", "execute-command": "/bin/true"}]))
    command = ["webhook", "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port), "-urlprefix", "hook"]
    with kept(WEBHOOK, start_process(command, folder / "webhook.log"), port) as server:
        yield server


@contextmanager
def kept(name: str, process: "subprocess.Popen[bytes]", port: int, serves: bool = True) -> Iterator[Server]:
    try:
        if serves:
            eventually(lambda: connects(port), within=120, what=f"{name} answers")
        yield Server(name, process.pid, port)
    finally:
        stop_process(process, grace=10)


def call_once(server: Server, paths: Path) -> None:
    """Send the first request of a file for hook.lua. Raises AssertionError unless it is answered 200."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    path, _, rest = paths.read_text().splitlines()[0].partition("\t")
    body, _, header = rest.partition("\t")
    name, _, value = header.partition(": ")
    connection.request(*(("POST", path, body, {name: value} if name else {}) if body else ("GET", path)))
    answer = connection.getresponse()
    assert answer.status == 200, f"{server.name}: {answer.read()!r} to {path}"
    connection.close()


def connects(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


def measure_first_request(folder: Path) -> Row:
    """Call one application after another, each when the previous call has ended."""
    delete_calls()
    with record_requests(folder / "engine.sock") as (url, times), ExitStack() as parts:
        triggers = make_triggers(url, FIRST_REQUESTS + 1, Action.REDEPLOY)
        connections.close_all()
        web = parts.enter_context(serve(folder, "web", "web alone", {}))
        parts.enter_context(serve(folder, "worker", "worker alone", {}))
        caller = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
        seconds = [call_and_wait(caller, build_trigger_link(trigger, ""), times) for trigger in triggers]
        caller.close()
    milliseconds = [value * 1000 for value in seconds[1:]]  # the first call waits for the worker to start
    name = f"call sent to first engine request, p99 {statistics.quantiles(milliseconds, n=100)[98]:.0f} ms"
    return hold_against(name, milliseconds, "ms, p50", at_most=FIRST_REQUEST_GOAL)


def call_and_wait(caller: http.client.HTTPConnection, path: str, times: list[float]) -> float:
    """Return the seconds from sending the call to the first request to the engine, once no call is active."""
    times.clear()
    started = time.perf_counter()
    caller.request("GET", path)
    answer = caller.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    eventually(lambda: times, within=60, what="the engine gets a request")
    eventually(lambda: not TriggerCall.objects.filter(state__in=ACTIVE_STATES).exists(), within=60, what="the call ends")
    return times[0] - started


@contextmanager
def record_requests(socket: Path) -> Iterator[tuple[str, list[float]]]:
    """Run an engine that reports its version and refuses everything else. Yields its address and a list of the times
    (`perf_counter`) of its requests."""
    times: list[float] = []

    class Recorder(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            times.append(time.perf_counter())
            is_version = self.path.endswith("/version")
            body = json.dumps({"ApiVersion": "1.41", "MinAPIVersion": "1.12"} if is_version else {"message": "No."}).encode()
            self.send_response(200 if is_version else 500)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            """Keep the terminal quiet."""

    with ThreadingUnixStreamServer(str(socket), Recorder) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"unix://{socket}", times
        finally:
            server.shutdown()


if __name__ == "__main__":
    main()
