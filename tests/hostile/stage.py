"""The console that is attacked, the holder of a link who asks it all the time, and what is measured meanwhile."""

import contextlib
import json
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.console import BASE_DIR, RunningConsole, open_url, run_console
from tests.harness.eventually import eventually
from tests.hostile.holder import Ask, Sample, quantile
from tests.hostile.measure import Watch, read_cpu
from tests.hostile.tally import UP, Target
from tests.hostile.wire import PATIENCE
from tests.integration.test_up import wait_for_parts

COMMAND = [sys.executable, "-m", "tests.hostile"]
COST_ROUNDS, COST_REQUESTS = 15, 10
LINKS = ("link", "link with a body", "registry", "outcome")  # what a holder of a link asks
OWN_TABLES = ("triggers_triggercall", "triggers_triggercallevent", "triggers_delivery", "triggers_deliveryline")
SEED = """
import json
from clusters.models import Application, Cluster, Registry
from triggers.models import Trigger
from triggers.selectors import build_trigger_link
cluster = Cluster.objects.create(name="nowhere", url="unix:///nonexistent.sock")
application = Application.objects.create(cluster=cluster, name="shop", source="compose")
trigger = Trigger.objects.create(application=application, action="redeploy")
registry = Registry.objects.create(host="registry.example.com")
print(json.dumps([build_trigger_link(trigger, ""), f"/hook/registry/{registry.hook_token}"]))
"""
PUSH = {"events": [{"action": "push", "target": {"repository": "team/app", "tag": "1", "digest": "sha256:" + "1" * 64}}]}


@dataclass
class Figures:
    """One attack. `asked` and `answered` count the holder's requests; `bad` says what else came of them. `link`, `others` and
    `control` are seconds until the answers to the holder. Memory, files and threads are the web process's at their highest,
    `kernel` is what the kernel held for all connections; bytes. `rows` and `lines` were added to the database and to the log
    in `seconds`, without those of the holder's requests."""

    attack: str
    tally: dict[str, Any] = field(default_factory=dict)
    asked: int = 0
    answered: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    link: dict[str, float] = field(default_factory=dict)
    others: float = 0.0
    control: float = 0.0
    memory: int = 0
    kernel: int = 0
    files: int = 0
    threads: int = 0
    rows: int = 0
    lines: int = 0
    seconds: float = 0.0
    log_bytes: int = 0


@dataclass
class Attacker:
    """A running attack."""

    name: str
    process: "subprocess.Popen[str]"

    def wait_until_up(self) -> None:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        assert line == UP, f"The attack {self.name} says {line!r}."

    def wait_for_tally(self, seconds: float = 120) -> dict[str, Any]:
        output, _ = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, f"The attack {self.name} ended with {self.process.returncode}."
        tally: dict[str, Any] = json.loads(output.strip().rpartition("\n")[2])
        return tally


@dataclass
class Stage:
    """`web` is the pid of the console's web process. `figures` has the attacks so far, in order."""

    console: RunningConsole
    web: int
    target: Target
    watch: Watch
    figures: dict[str, Figures] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    _pending: dict[int, str] = field(default_factory=dict)  # the kinds of requests without an answer, by number
    _last: int = 0  # the number of the last request
    _waiting: dict[str, Attacker] = field(default_factory=dict)

    def attack(self, name: str) -> Figures:
        """Run an attack to its end, and measure meanwhile."""
        with self.measured(name) as figures:
            figures.tally = self._start(name).wait_for_tally()
        return figures

    def besiege(self, name: str, seconds: float) -> Figures:
        """Start an attack that goes on after this, and measure until so many seconds after all its connections are there."""
        with self.measured(name) as figures:
            self._waiting[name] = self._start(name)
            self._waiting[name].wait_until_up()
            time.sleep(seconds)
        return figures

    def collect(self, name: str) -> dict[str, Any]:
        """Wait for the end of an attack that `besiege` started. Return its tally."""
        if name in self._waiting:
            self.figures[name].tally = self._waiting.pop(name).wait_for_tally()
        return self.figures[name].tally

    def close(self) -> None:
        """End what still runs."""
        self.watch.is_over.set()
        for attacker in self._waiting.values():
            attacker.process.kill()
            attacker.process.wait()

    def _start(self, name: str) -> Attacker:
        command = [*COMMAND, "attack", name, json.dumps(asdict(self.target))]
        return Attacker(name, subprocess.Popen(command, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True))

    @contextlib.contextmanager
    def measured(self, name: str) -> Iterator[Figures]:
        """Measure what happens in this context."""
        figures = self.figures[name] = Figures(name)
        rows, log = self.count_rows(), self.console.log_file.stat().st_size
        self.watch.begin()
        began = time.monotonic()
        yield figures
        ended, last = time.monotonic(), self._last
        peaks = self.watch.look()
        figures.memory, figures.kernel, figures.files, figures.threads = peaks.memory, peaks.kernel, peaks.files, peaks.threads
        self._summarize_samples(figures, began, ended, last)
        figures.rows = self.count_rows() - rows
        figures.seconds = time.monotonic() - began
        lines = self.read_log(log)
        figures.lines, figures.log_bytes = len(lines), sum(map(len, lines))

    def _summarize_samples(self, figures: Figures, began: float, ended: float, last: int) -> None:
        """Wait for the answers to what the holder asked in this time, up to the request `last`, and summarize them."""
        eventually(
            lambda: min(list(self._pending), default=last + 1) > last,
            within=2 * PATIENCE,
            what="the holder's requests are answered or given up",
        )
        samples = [sample for sample in self.samples if began <= sample.began < ended]
        links = [sample.seconds for sample in samples if sample.kind in LINKS]
        figures.asked, figures.answered = len(samples), sum(sample.status == 200 for sample in samples)
        figures.bad = dict(Counter(f"{sample.kind}: {sample.status}" for sample in samples if sample.status != 200))
        figures.link = {"p50": quantile(links, 0.5), "p99": quantile(links, 0.99), "max": max(links)}
        figures.others = quantile([sample.seconds for sample in samples if sample.kind not in LINKS], 0.99)
        figures.control = quantile([sample.control for sample in samples], 0.99)

    def measure_costs(self, requests: dict[str, bytes]) -> dict[str, float]:
        """Return the CPU seconds of the web process for a request of each kind, as the median of several rounds. The holder's
        requests are in all of them alike."""
        costs: dict[str, list[float]] = {name: [] for name in requests}
        for _ in range(COST_ROUNDS):
            for name, request in requests.items():
                used = read_cpu(self.web)
                for _ in range(COST_REQUESTS):
                    send_once(self.target.port, request)
                costs[name].append((read_cpu(self.web) - used) / COST_REQUESTS)
        return {name: statistics.median(rounds) for name, rounds in costs.items()}

    def count_asked(self) -> Counter[str]:
        """Count what the holder has asked so far by kind, also what is not answered yet."""
        return Counter([*list(self._pending.values()), *(sample.kind for sample in list(self.samples))])

    def listen(self, holder: "subprocess.Popen[str]") -> None:
        """Take the holder's samples until it ends."""
        assert holder.stdout
        for line in holder.stdout:
            read = json.loads(line)
            if "status" in read:
                self.samples.append(Sample(**read))
                del self._pending[read["number"]]
            else:
                self._pending[read["number"]] = read["kind"]
                self._last = read["number"]

    def count_rows(self, tables: tuple[str, ...] = ()) -> int:
        """Count the rows of these tables; of all but those with the holder's requests if none are named."""
        with contextlib.closing(sqlite3.connect(self.console.data_dir / "windlass.sqlite3", timeout=30)) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            chosen = [name for name in names if (name in tables if tables else name not in OWN_TABLES)]
            return sum(database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in chosen)

    def read_log(self, position: int = 0) -> list[bytes]:
        """Return the log's lines from a position on, without those of the holder's requests."""
        with self.console.log_file.open("rb") as log:
            log.seek(position)
            return [line for line in log.read().splitlines() if b"request_id=holder-" not in line]


@contextlib.contextmanager
def set_stage(folder: Path) -> Iterator[Stage]:
    """Run a console without an engine, a trigger and a registry in it, a control server, and a holder of both links."""
    environment = {
        # The attackers that pretend to be a proxy come from this address.
        "WINDLASS_TRUSTED_PROXIES": "127.0.0.1",
        # The holder asks for redeploys, of which all but two are coalesced.
        "WINDLASS_QUEUE_LIMIT": "1000000",
        "WINDLASS_TRIGGER_QUEUE_LIMIT": "1000000",
        "WINDLASS_STOP_GRACE_SECONDS": "0",
    }
    with contextlib.ExitStack() as stack:
        control = stack.enter_context(run_helper("control"))
        assert control.stdout
        control_port = int(control.stdout.readline())
        console = stack.enter_context(run_console(folder / "data", "unix:///nonexistent.sock", **environment))
        link, registry = json.loads(console.manage("shell", "-v0", "-c", SEED))
        port = int(console.url.rpartition(":")[2])
        web = wait_for_parts(console)["web"]
        stage = Stage(console, web, Target(port, find_bundle(console), link), Watch(web))
        holder = stack.enter_context(run_helper("hold"))
        assert holder.stdin
        asks = list_asks(console, link, registry)
        what = {"port": port, "control_port": control_port, "asks": list(map(asdict, asks))}
        print(json.dumps(what), file=holder.stdin, flush=True)
        for work in (lambda: stage.listen(holder), stage.watch.keep_looking):
            threading.Thread(target=work, daemon=True).start()
        stack.callback(stage.close)
        eventually(lambda: len(stage.samples) > 10, within=30, what="the holder is answered")
        yield stage


@contextlib.contextmanager
def run_helper(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = ["setpriv", "--pdeathsig", "KILL", *COMMAND, *arguments]
    process = subprocess.Popen(command, cwd=BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def list_asks(console: RunningConsole, link: str, registry: str) -> list[Ask]:
    """Return what the holder asks: everything at least ten times a second but the probe and the page, which anyone can."""
    status, answer = open_url(f"{console.url}{link}")
    assert status == 200, answer
    outcome = answer["statusUrl"].removeprefix(console.url)
    return [
        Ask("link", link, 20),
        Ask("link with a body", link, 10, "POST", '{"ref": "refs/heads/main"}'),
        Ask("registry", registry, 10, "POST", json.dumps(PUSH)),
        Ask("outcome", outcome, 10),
        Ask("probe", "/healthz", 5),
        Ask("page", "/login/", 5),
    ]


def send_once(port: int, request: bytes) -> None:
    """Send a request, and read until it is answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 4")


def find_bundle(console: RunningConsole) -> str:
    """Return the path of the largest file that the console serves to anyone."""
    folder = console.data_dir / "static"
    largest = max((file for file in folder.rglob("*.js") if file.is_file()), key=lambda file: file.stat().st_size)
    return f"/static/{largest.relative_to(folder)}"
