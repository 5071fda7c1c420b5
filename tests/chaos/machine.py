"""A whole machine for trials: a private engine or Swarm with nothing else on it, a database, and the console's parts."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests

from tests.chaos.nursery import Nursery, Process
from tests.harness.engine import PrivateEngine, kill_daemon, launch_daemon, run_engine
from tests.harness.eventually import eventually
from tests.harness.images import create_base_image
from tests.harness.proc import find_free_port
from tests.harness.swarm import PrivateSwarm, run_swarm

LEASE_SECONDS = 3
SWEEP_SECONDS = 0.5  # instead of the watcher's 5 s, to save time


@dataclass
class Machine:
    """A machine. `api` is the judge's connection to the engine, which the product never uses."""

    folder: Path
    nursery: Nursery
    port: int
    engine: PrivateEngine | None = None
    swarm: PrivateSwarm | None = None
    processes: list[Process] = field(default_factory=list)
    _sweeping: threading.Event = field(default_factory=threading.Event)
    _traces: int = 0

    @property
    def endpoint_url(self) -> str:
        found = self.swarm or self.engine
        assert found
        return found.endpoint_url

    def connect(self) -> docker.APIClient:
        return docker.APIClient(base_url=self.endpoint_url, version="1.41", timeout=60)

    # The console's parts

    def start(self, part: str, **options: Any) -> Process:
        process = self.nursery.start(part, **options)
        self.processes.append(process)
        return process

    def start_web(self) -> Process:
        web = self.start("web")
        eventually(lambda: answers(f"http://127.0.0.1:{self.port}/hook/trigger"), within=60, what="the hook answers")
        return web

    def new_trace(self) -> Path:
        self._traces += 1
        return self.folder / f"trace{self._traces}"

    def kill(self, *parts: str) -> None:
        """Send SIGKILL to the named parts, or to all."""
        for process in self.processes:
            if not parts or process.part in parts:
                process.kill()
        self.processes = [process for process in self.processes if not process.has_ended()]

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """Sweep as the watcher does, but more often: publish calls again that no worker runs."""
        from django.db import close_old_connections, connection

        from clusters.steady import run_safely
        from triggers.tasks import sweep_calls

        stop = threading.Event()

        def sweep() -> None:
            while not stop.wait(SWEEP_SECONDS):
                close_old_connections()
                run_safely(sweep_calls)
            connection.close()

        thread = threading.Thread(target=sweep, name="sweep", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    # The engine

    def kill_engine(self) -> None:
        if self.swarm:
            self.swarm.manager.kill()
        elif self.engine:
            kill_daemon(self.engine)

    def start_engine(self) -> None:
        """Start the engine. Call it from the main thread, because the engine ends with the thread that started it."""
        if self.swarm:
            self.swarm.manager.start()
        elif self.engine:
            launch_daemon(self.engine)


def set_environment(data: Path, port: int, engine_url: str, database_url: str = "") -> None:
    """Set the environment. Call it before Django is imported; the nursery passes it on."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="console.settings",
        WINDLASS_DATA_DIR=str(data),
        WINDLASS_PORT=str(port),
        WINDLASS_LEASE_SECONDS=str(LEASE_SECONDS),
        WINDLASS_WORKER_THREADS="4",
        WINDLASS_SAMPLE="0",
        DOCKER_HOST=engine_url,
    )
    if database_url:
        os.environ["DATABASE_URL"] = database_url


@contextmanager
def run_machine(folder: Path, on_swarm: bool = False, database_url: str = "") -> Iterator[Machine]:
    """Run the machine, once per process, from its main thread, before Django is imported: the environment has its database."""
    with ExitStack() as resources:
        swarm = resources.enter_context(run_swarm(1)) if on_swarm else None
        engine = None if on_swarm else resources.enter_context(run_engine())
        url = (swarm or engine).endpoint_url  # type: ignore[union-attr]
        port = find_free_port()
        set_environment(folder / "data", port, url, database_url)
        machine = Machine(folder, Nursery(folder / "console.log"), port, engine, swarm)
        resources.callback(machine.kill)
        if engine:
            with engine.connect() as api:
                create_base_image(api)
        prepare_console(url)
        machine.start_web()
        yield machine


def prepare_console(engine_url: str) -> None:
    """Prepare the console as `manage.py up` does, except for the static files, which nobody requests."""
    import django

    django.setup()
    from console.process import preparation

    preparation.make_data_directory()
    preparation.migrate_database()
    preparation.register_local_cluster(engine_url)


def answers(url: str) -> bool:
    """Return whether the hook answers at all. Without parameters it answers with status 400."""
    try:
        return bool(requests.get(url, timeout=5).status_code)
    except requests.exceptions.RequestException:
        return False


class EventLog:
    """Records the engine's start and die events as they come: (time, event, container id, name, labels)."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.entries: list[dict[str, Any]] = []
        self._stopping = False
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="events")

    def __enter__(self) -> "EventLog":
        self._since = time.time()
        self._thread.start()
        assert self._connected.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True

    def _follow(self) -> None:
        while not self._stopping:
            with suppress(docker.errors.DockerException, requests.exceptions.RequestException, OSError):
                self._listen()
            time.sleep(0.2)

    def _listen(self) -> None:
        with self.machine.connect() as api:
            stream = api.events(since=self._since, decode=True, filters={"type": "container", "event": ["start", "die"]})
            self._connected.set()
            for event in stream:
                if self._stopping:
                    return
                self._since = event["timeNano"] / 1e9
                self.entries.append(event)
