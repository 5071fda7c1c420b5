"""What an acknowledged call costs: `python -m bench.hook [rounds]`. Needs the Debian packages wrk and webhook.

Calls of links, committed before they are answered, at 1, 16 and 64 connections, against two peers in the same run:
- a bare Django view under the same server and over the same database that does nothing but find the trigger and record a call
  (bench/bare);
- adnanh/webhook, which starts a command that does nothing at each request and records nothing.

No worker runs meanwhile: calls stay queued, and are forgotten between two measurements. Two kinds of calls, and each is a row of
its own: scale calls of 50 services, of which each is queued and published, and redeploys of one application, of which all but
the first are coalesced.

With `python -m tests.harness.postgres -- python -m bench.hook` the same over PostgreSQL.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from clusters.models import Application, Cluster, Service
from tests.harness.console import BASE_DIR, is_served
from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, start_process, stop_process
from triggers.models import Action, Trigger, TriggerCall
from triggers.selectors import build_trigger_link

ROUNDS = 3
SECONDS = 2  # of one measurement
CONNECTIONS = (1, 16, 64)
SERVICES = 50
BENCH = BASE_DIR / "bench"


@dataclass(frozen=True)
class Row:
    name: str
    value: str
    peer: str
    ratio: float
    goal: str = ""


@dataclass(frozen=True)
class Load:
    """`rate` in calls a second, the others in milliseconds; `cpu`: the server's, of one call."""

    rate: float
    p50: float
    p99: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s, p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms, CPU {self.cpu:.2f} ms"


@dataclass(frozen=True)
class Server:
    name: str
    pid: int
    url: str

    def put_under_load(self, paths: Path, connections: int) -> Load:
        used = self._read_cpu()
        wrk = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--timeout=30s", "-s", str(BENCH / "hook.lua"), self.url]
        done = subprocess.run(wrk, env={**os.environ, "PATHS": str(paths)}, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout.strip().rpartition("\n")[2])
        if figures["failed"]:
            raise SystemExit(f"{figures['failed']} of {figures['requests']} calls of {self.name} failed")
        rate = figures["requests"] / figures["microseconds"] * 1e6
        cpu = (self._read_cpu() - used) * 1000 / figures["requests"]
        return Load(rate, figures["p50"] / 1000, figures["p99"] / 1000, cpu)

    def _read_cpu(self) -> float:
        """Seconds, with those of children that have ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    for row in measure(rounds):
        print(f"{row.name}: {row.value}; {row.peer}; ratio {row.ratio:.2f} {row.goal}")


def measure(rounds: int = ROUNDS) -> list[Row]:
    call_command("migrate", verbosity=0)
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        folder = Path(name)
        kinds = write_paths(folder)
        connections.close_all()
        hook = servers.enter_context(serve_console(folder, "hook", {}))
        bare = {"DJANGO_SETTINGS_MODULE": "bare_settings", "PYTHONPATH": str(BENCH / "bare")}
        peers = [servers.enter_context(serve_console(folder, "bare view", bare)), servers.enter_context(serve_webhook(folder))]
        return [
            row
            for kind, paths in kinds.items()
            for number in CONNECTIONS
            for row in compare(kind, paths, number, hook, peers, rounds)
        ]


def compare(kind: str, paths: Path, number: int, hook: Server, peers: list[Server], rounds: int) -> Iterator[Row]:
    """A row for each peer: the medians of the rounds, and the median of their ratios."""
    loads: dict[str, list[Load]] = {}
    for _ in range(rounds):
        for server in (hook, *peers):
            loads.setdefault(server.name, []).append(server.put_under_load(paths, number))
            TriggerCall.objects.all().delete()
            connections.close_all()
    for peer in peers:
        ratio = statistics.median(
            ours.rate / theirs.rate for ours, theirs in zip(loads[hook.name], loads[peer.name], strict=True)
        )
        goal = "(goal: 0.6)" if peer is peers[0] else ""
        value, other = (take_median(loads[server.name]) for server in (hook, peer))
        yield Row(f"{kind}, {number} connections", f"hook {value}", f"{peer.name} {other}", ratio, goal)


def take_median(loads: list[Load]) -> Load:
    return sorted(loads, key=lambda load: load.rate)[len(loads) // 2]


def write_paths(folder: Path) -> dict[str, Path]:
    """Files of addresses to call, by the kind of call."""
    cluster = Cluster.objects.create(name=f"bench {time.time_ns()}", url="unix:///nonexistent")
    application = Application.objects.create(cluster=cluster, name="bench", source=Application.Source.COMPOSE)
    redeploy = Trigger.objects.create(application=application, action=Action.REDEPLOY)
    scalings = [
        Trigger.objects.create(
            application=application,
            action=Action.SCALING,
            service=Service.objects.create(application=application, name=f"web-{number}"),
        )
        for number in range(SERVICES)
    ]
    links = {
        "scale calls": [f"{build_trigger_link(trigger, '')}&type=scale_out&step=1" for trigger in scalings],
        "redeploys": [build_trigger_link(redeploy, "")],
    }
    files = {}
    for kind, addresses in links.items():
        files[kind] = folder / kind.replace(" ", "-")
        files[kind].write_text("\n".join(addresses) + "\n")
    return files


@contextmanager
def serve_console(folder: Path, name: str, environment: dict[str, str]) -> Iterator[Server]:
    """The web part alone, over this process's database."""
    port = find_free_port()
    variables = {
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "WINDLASS_DATA_DIR": str(settings.DATA_DIR),
        "WINDLASS_PORT": str(port),
        "WINDLASS_QUEUE_LIMIT": "1000000",
        "WINDLASS_TRIGGER_QUEUE_LIMIT": "1000000",
        **environment,
    }
    process = start_process([sys.executable, str(BASE_DIR / "manage.py"), "web"], folder / f"{name}.log", variables)
    with wait_for_server(name, process, port) as server:
        yield server


@contextmanager
def serve_webhook(folder: Path) -> Iterator[Server]:
    port = find_free_port()
    hooks = folder / "hooks.json"
    hooks.write_text(json.dumps([{"id": "trigger", "execute-command": "/bin/true"}]))
    command = ["webhook", "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port), "-urlprefix", "hook"]
    with wait_for_server("adnanh/webhook", start_process(command, folder / "webhook.log"), port) as server:
        yield server


@contextmanager
def wait_for_server(name: str, process: "subprocess.Popen[bytes]", port: int) -> Iterator[Server]:
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: answers(url), within=60, what=f"{name} answers")
        yield Server(name, process.pid, url)
    finally:
        stop_process(process, grace=10)


def answers(url: str) -> bool:
    """Whether anything is served there, an error included."""
    import socket

    with socket.socket() as probe:
        return probe.connect_ex((urlsplit(url).hostname or "", urlsplit(url).port or 0)) == 0


if __name__ == "__main__":
    main()
