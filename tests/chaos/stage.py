"""Runs one trial, from creating the application to the verdict."""

import itertools
import signal
import sqlite3
import time
import traceback
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker
import requests
from django.db import DatabaseError
from django.utils import timezone

from tests.chaos import applications
from tests.chaos.applications import NAME, Kind
from tests.chaos.machine import EventLog, Machine
from tests.chaos.nursery import Process
from tests.chaos.oracle import Expectation, Fault, Picture, judge, judge_counts, take_picture
from tests.chaos.trials import Trial
from tests.harness.console import open_url
from tests.harness.engine import remove_everything
from tests.harness.eventually import eventually

LIMIT = 90.0  # seconds for all calls of a trial to end
STEP = 2
FROZEN_SECONDS = 5.0
LIVING = {"frozen", "ahead", "behind", "lapsed", "locked", "twice", "cut", "full"}  # faults at which no worker dies


@dataclass
class Result:
    trial: str
    faults: list[tuple[str, str]] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)  # of the first worker
    deaths: int = 0
    seconds: float = 0.0
    calls: list[str] = field(default_factory=list)  # state and message of each
    notes: list[str] = field(default_factory=list)


def run_trial(machine: Machine, trial: Trial) -> Result:
    began = time.monotonic()
    result = Result(str(trial))
    with machine.connect() as api:
        try:
            Stage(machine, api, trial, result).play()
        except AssertionError as error:
            result.faults.append(("lost", str(error)))
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, DatabaseError) as error:
            result.faults.append(("other", repr(error)))
            result.notes.append(traceback.format_exc())
        finally:
            machine.kill("worker", "watch")
            clean_up(machine, api)
    result.seconds = round(time.monotonic() - began, 1)
    return result


class Stage:
    def __init__(self, machine: Machine, api: docker.APIClient, trial: Trial, result: Result) -> None:
        self.machine, self.api, self.trial, self.result = machine, api, trial, result
        self.kind: Kind = trial.kind
        self.accepted: list[str] = []  # ids of the calls that got a 200
        self.traces: list[Path] = []
        self.workers: list[Process] = []

    def play(self) -> None:
        applications.arrange(self.machine, self.api, self.kind)
        before = take_picture(self.api, self.kind, mark=True)
        expected = self.expect(applications.publish(self.machine, self.api, self.kind))
        links = make_links(self.machine)
        with EventLog(self.machine) as events, self.machine.sweeping():
            self.perform(links)
            ended = self.wait_for_calls()
            after = self.take_settled_picture()
        self.note_calls(ended)
        self.blame(judge(expected, before, after))
        if self.trial.fault not in {"engine", "machine"}:
            entries = eventually(lambda: self.complete(events, after), within=5, what="all events have come")
            self.blame(judge_counts(expected, before, after, entries))
        self.blame(self.judge_calls(ended, expected))

    def expect(self, image: str) -> Expectation:
        count, act = self.kind.web.count, self.trial.act
        replicas = {"out": count + STEP, "in": count - STEP, "queue": count + STEP}.get(act, count)
        redeploys = act in {"redeploy", "queue"}
        return Expectation(self.kind, image if redeploys else "", replicas, rolls_back=self.kind.fails)

    def blame(self, faults: Any) -> None:
        self.result.faults += [(fault.kind, fault.text) for fault in faults]

    # The call and the fault

    def perform(self, links: dict[str, str]) -> None:
        getattr(self, f"play_{self.trial.fault}", self.play_timed)(links)

    def call(self, links: dict[str, str], act: str) -> None:
        """Call the trigger's real link at the web process."""
        action, parameters = "redeploy", {}
        if act != "redeploy":
            step = 1 if self.trial.act == "queue" else STEP
            action, parameters = "scaling", {"type": f"scale_{act}", "step": step}
        status, answer = open_url(f"{links[action]}&{urllib.parse.urlencode(parameters)}", timeout=30)
        if status == 200:
            self.accepted.append(answer["requestId"])
        else:
            self.result.notes.append(f"answered with {status} {answer.get('message')}")

    def call_all(self, links: dict[str, str]) -> None:
        self.call(links, "redeploy" if self.trial.act == "queue" else self.trial.act)
        if self.trial.act == "queue":
            eventually(lambda: self.read_states()[0] != "queued", within=15, what="the first call is taken")
            for act in ("out", "redeploy", "out", "redeploy"):
                self.call(links, act)

    def start_worker(self, **options: Any) -> Process:
        trace = self.machine.new_trace()
        fault = {"trace": str(trace), **options.pop("fault", {})}
        self.traces.append(trace)
        self.workers.append(self.machine.start("worker", fault=fault, **options))
        return self.workers[-1]

    def play_none(self, links: dict[str, str]) -> None:
        self.start_worker()
        self.call_all(links)

    def play_death(self, links: dict[str, str]) -> None:
        """Run a worker that dies at an operation, sometimes a second one, and then one that lives."""
        late = (7 * self.trial.number % 20) / 1000  # so that faults hit the engine at different moments
        fault = {"number": int(self.trial.number), "moment": self.trial.fault, "late": late}
        victim = self.start_worker(fault=fault)
        self.call_all(links)
        self.wait_for_death(victim)
        if self.trial.again:
            self.wait_for_death(self.start_worker(fault={"number": self.trial.again, "moment": self.trial.fault}))
        self.start_worker()

    play_before = play_during = play_after = play_death

    def wait_for_death(self, victim: Process) -> None:
        """Wait for the death, or until nothing is left to do: work that was done in part needs fewer operations."""

        def is_over() -> bool:
            return victim.has_ended() or self.are_over()

        eventually(is_over, within=LIMIT, what="the worker dies or ends its work")
        self.result.deaths += victim.has_ended()

    def wait_for_moment(self) -> None:
        eventually(lambda: self.read_states()[0] != "queued", within=20, every=0.01, what="the call begins")
        time.sleep(self.trial.number)

    def play_timed(self, links: dict[str, str]) -> None:
        self.start_worker()
        self.call_all(links)
        self.wait_for_moment()
        getattr(self, f"happen_{self.trial.fault}")()

    def happen_worker(self) -> None:
        self.machine.kill("worker")
        self.result.deaths += 1
        self.start_worker()

    def happen_console(self) -> None:
        self.machine.kill()
        self.result.deaths += 1
        self.machine.start_web()
        self.machine.start("watch")
        self.start_worker()

    def happen_engine(self) -> None:
        self.machine.kill_engine()
        self.machine.start_engine()

    def happen_machine(self) -> None:
        self.machine.kill()
        self.machine.kill_engine()
        self.result.deaths += 1
        self.machine.start_engine()
        self.machine.start_web()
        self.start_worker()

    def play_twice(self, links: dict[str, str]) -> None:
        from triggers.calls.nudges import publish_nudge
        from triggers.selectors import find_application_id

        self.start_worker()
        self.start_worker()
        self.call_all(links)
        application_id = find_application_id(self.accepted[0])
        assert application_id
        publish_nudge(application_id)
        self.wait_for_moment()
        publish_nudge(application_id)

    def play_lost(self, links: dict[str, str]) -> None:
        from django.conf import settings

        self.call(links, "redeploy" if self.trial.act == "queue" else self.trial.act)
        for message in (settings.DATA_DIR / "queue" / "messages").glob("*.msg"):
            message.unlink()
        self.start_worker()

    def play_ahead(self, links: dict[str, str]) -> None:
        self.play_with_clock(links, 3600)

    def play_behind(self, links: dict[str, str]) -> None:
        self.play_with_clock(links, -3600)

    def play_with_clock(self, links: dict[str, str], seconds: float) -> None:
        """Let one worker's clock jump. The clocks of the other worker and of the sweep are right."""
        self.start_worker(clock={"seconds": seconds, "after": 0.5 + self.trial.number})
        self.call_all(links)
        self.start_worker()

    def happen_lapsed(self) -> None:
        from triggers.models import TriggerCall

        self.start_worker()
        passed = timezone.now() - timedelta(seconds=1)
        TriggerCall.objects.filter(state="running", merged_into=None).update(lease_expires_at=passed)

    def happen_frozen(self) -> None:
        """Freeze a worker, as on a machine that swaps or is moved. When it continues, its lease is lost."""
        frozen = self.workers[0]
        signal.pidfd_send_signal(frozen.descriptor, signal.SIGSTOP)
        self.start_worker()
        time.sleep(FROZEN_SECONDS)
        signal.pidfd_send_signal(frozen.descriptor, signal.SIGCONT)

    def happen_locked(self) -> None:
        from django.conf import settings

        with closing(sqlite3.connect(settings.DATABASES["default"]["NAME"], timeout=20, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            time.sleep(10)
            database.execute("ROLLBACK")

    def happen_cut(self) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def happen_full(self) -> None:
        with fill_disk(self.machine.folder / "data"):
            time.sleep(4)

    # The calls' word

    def read_calls(self) -> list[Any]:
        """Return the calls in the order in which they were accepted."""
        from django.db import DatabaseError, connection

        from triggers.models import TriggerCall

        try:
            rows = {str(call.pk): call for call in TriggerCall.objects.all()}
        except DatabaseError as error:
            connection.close()
            raise AssertionError(str(error)) from error
        missing = [call for call in self.accepted if call not in rows]
        assert not missing, f"calls that were accepted are not there any more: {missing}"
        return [rows[call] for call in self.accepted]

    def read_states(self) -> list[str]:
        return [str(call.state) for call in self.read_calls()]

    def are_over(self) -> bool:
        return not {"queued", "running"} & set(self.read_states())

    def wait_for_calls(self) -> list[Any]:
        eventually(self.are_over, within=LIMIT, what=f"all calls end: {self.read_states()}")
        return self.read_calls()

    def judge_calls(self, ended: list[Any], expected: Expectation) -> Iterator[Fault]:
        """Check that each call ended once, and as the engine shows."""
        for first, now in zip(ended, self.read_calls(), strict=True):
            if (first.state, first.completed_at, first.message) != (now.state, now.completed_at, now.message):
                yield Fault("outcome", f"a call ended as {first.state} and again as {now.state}")
        wanted = "rolled_back" if expected.rolls_back else "succeeded"
        for call in ended:
            if call.state not in {wanted, "coalesced"}:
                yield Fault("outcome", f"a call to {call.action} says {call.state} ({call.reason}): {call.message}")
        coalesced = [call for call in ended if call.state == "coalesced"]
        if len(coalesced) != (self.trial.act == "queue" and self.trial.fault != "lost" and len(self.accepted) == 5):
            yield Fault("outcome", f"{len(coalesced)} calls are coalesced")
        if overlap := self.find_overlap():
            yield Fault("together", overlap)

    def find_overlap(self) -> str:
        """Return a sentence if two workers ran one call at once. One whose lease is lost may have one request in progress."""
        if self.trial.act == "queue" or self.trial.fault not in LIVING:
            return ""
        begun = [trace.read_text().splitlines() for trace in self.traces if trace.exists()]
        times = sorted(([float(line.split()[0]) for line in lines] for lines in begun if lines), key=min)
        for first, second in itertools.pairwise(times):
            late = [moment for moment in first if moment > second[0]]
            if len(late) > 1:
                return f"a worker sent {len(late)} requests in {late[-1] - second[0]:.2f} s after another one had begun"
        return ""

    def note_calls(self, ended: list[Any]) -> None:
        self.result.calls = [f"{call.state} {call.reason} (attempt {call.attempts}) {call.message[:200]}" for call in ended]
        traces = [trace.read_text().splitlines() for trace in self.traces if trace.exists()]
        self.result.operations = [line.partition(" ")[2] for line in (traces[0] if traces else [])]

    # The engine's word

    def take_settled_picture(self) -> Picture:
        """Look at the engine. Removing a stopped container, and ending a Swarm's tasks, can outlast the call."""
        last: list[Picture] = [take_picture(self.api, self.kind)]

        def is_settled() -> bool:
            last.append(take_picture(self.api, self.kind))
            return last[-1] == last[-2]

        eventually(is_settled, within=10, every=0.2, what="the engine is quiet")
        return last[-1]

    def complete(self, events: EventLog, after: Picture) -> list[dict[str, Any]]:
        """Return all events so far, in order, once they account for what runs now."""
        entries = sorted(
            {(e["timeNano"], e["Action"], e["Actor"]["ID"]): e for e in events.entries}.values(), key=lambda e: e["timeNano"]
        )
        started = {entry["Actor"]["ID"] for entry in entries if entry["Action"] == "start"}
        assert events.entries or not started
        return entries or [{"Actor": {"ID": "", "Attributes": {}}, "Action": "none", "timeNano": 0}]


def make_links(machine: Machine) -> dict[str, str]:
    """Create a trigger for redeploys and one for scaling `web`, once discovery has found the application."""
    from clusters.inventory import sync_cluster
    from clusters.models import Application, Cluster
    from triggers.links import build_link
    from triggers.models import Trigger

    sync_cluster(Cluster.objects.get())
    application = Application.objects.get(name=NAME)
    service = application.services.filter(name="web").first() or application.services.first()
    base = f"http://127.0.0.1:{machine.port}"
    triggers = {
        "redeploy": Trigger.objects.create(application=application, action="redeploy"),
        "scaling": Trigger.objects.create(application=application, action="scaling", service=service),
    }
    return {action: build_link(base, trigger.link_fields, trigger.secret) for action, trigger in triggers.items()}


def clean_up(machine: Machine, api: docker.APIClient) -> None:
    """Clean up for the next trial: nothing on the engine, no call, no message."""
    from django.conf import settings

    from clusters.models import Application

    if machine.swarm:
        machine.swarm.remove_everything()
    else:
        with suppress(docker.errors.NotFound):
            remove_everything(api)
    Application.objects.all().delete()
    for message in (settings.DATA_DIR / "queue" / "messages").glob("*.msg"):
        with suppress(FileNotFoundError):
            message.unlink()


@contextmanager
def fill_disk(folder: Path) -> Iterator[None]:
    """Fill the disk to the last byte while the context is active. The folder is a small disk of its own."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        yield
    finally:
        filler.unlink()
