"""Runs the console as several hosts do: each part is a process that starts and dies on its own, with one database."""

import http.client
import json
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests

from tests.harness.console import BASE_DIR, PASSWORD, RunningConsole, is_served
from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, start_process

MANAGE = str(BASE_DIR / "manage.py")
TOKEN = "0123456789abcdef0123456789abcdef01234567"  # an API token for the tests


@dataclass
class Answer:
    """Header names that compare without case."""

    status: int
    body: dict[str, Any]
    headers: http.client.HTTPMessage


@dataclass
class Parts:
    """The parts. `environment` is that of every part, `ports` those of the webs by name. Their names are as in `web1`."""

    folder: Path
    environment: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start parts and return when the webs among them answer."""
        for name in names:
            port = self.ports.setdefault(name, find_free_port()) if name.startswith("web") else 0
            environment = {**self.environment, "WINDLASS_PORT": str(port or 8000)}
            command = [sys.executable, MANAGE, name.rstrip("0123456789")]
            self.processes[name] = start_process(command, self.folder / f"{name}.log", environment)
        for name in names:
            if name in self.ports:
                self.wait_until_served(name)

    def wait_until_served(self, name: str) -> None:
        url = f"http://127.0.0.1:{self.ports[name]}/healthz"
        eventually(lambda: is_served(url), within=90, what=f"{name} serves")

    def stop(self, *names: str, within: float = 60) -> None:
        """Send SIGTERM to all of them at once. Raises AssertionError if one does not end."""
        for name in names:
            self.processes[name].terminate()
        for name in names:
            process = self.processes.pop(name)
            eventually(lambda process=process: process.poll() is not None, within=within, what=f"{name} ends")

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def kill_all(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def find_owner(self, kind: str, owner: str) -> str:
        """Return the name of the part that owns a lease, from the owner `host:pid:…`."""
        pid = int(owner.split(":")[1])
        return next(name for name, process in self.processes.items() if name.startswith(kind) and process.pid == pid)

    def manage(self, *arguments: str) -> subprocess.Popen[bytes]:
        return start_process([sys.executable, MANAGE, *arguments], self.folder / "manage.log", self.environment)

    def console(self, name: str) -> RunningConsole:
        """Return this web as a console, signed in as `admin` with a token: the login page would need static files."""
        url, process = f"http://127.0.0.1:{self.ports[name]}", self.processes[name]
        if not self.query("SELECT key FROM authtoken_token"):
            values = f"SELECT '{TOKEN}', date_joined, id FROM auth_user"
            self.query(f"INSERT INTO authtoken_token (key, created, user_id) {values} RETURNING key")
        session = requests.Session()
        session.headers["Authorization"] = f"Token {TOKEN}"
        return RunningConsole(url, self.folder, self.folder, process, self.environment, session)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        url = self.environment.get("DATABASE_URL")
        if url:
            with psycopg.connect(url) as server:
                return server.execute(sql).fetchall()
        file = Path(self.environment["WINDLASS_DATA_DIR"], "windlass.sqlite3")
        with closing(sqlite3.connect(file, timeout=30)) as database, database:
            return database.execute(sql).fetchall()


def call_web(port: int, link: str, key: str = "", timeout: float = 60) -> Answer:
    """Call the link on this web, whatever address it has. Raises OSError or HTTPException if there is no response."""
    parts = urlsplit(link)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        return ask(connection, f"{parts.path}?{parts.query}", key)


def ask(connection: http.client.HTTPConnection, target: str, key: str = "") -> Answer:
    connection.request("POST", target, headers={"Idempotency-Key": key} if key else {})
    response = connection.getresponse()
    return Answer(response.status, json.loads(response.read()), response.headers)


def call_any_web(ports: list[int], link: str, note: Callable[[Exception], None] = lambda _: None) -> Answer:
    """Call the link as a load balancer does: if one web fails, try the next with the same key, so that it is one call."""
    key = uuid.uuid4().hex
    for port in ports:
        try:
            return call_web(port, link, key)
        except (OSError, http.client.HTTPException) as error:
            note(error)
    raise AssertionError(f"None of the webs at {ports} answered.")


@contextmanager
def run_parts(folder: Path, engine_url: str, *names: str, hosts: int = 1, **environment: str) -> Iterator[Parts]:
    """Prepare the database from several hosts at the same time, then start the parts. They are killed at the end."""
    data = folder / "data"
    for name in ("messages", "control"):
        (data / "queue" / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    variables = {
        "WINDLASS_DATA_DIR": str(data),
        "WINDLASS_ADMIN_PASSWORD": PASSWORD,
        "WINDLASS_LEASE_SECONDS": "6",
        "WINDLASS_HOST": "127.0.0.1",
        "DOCKER_HOST": engine_url,
        "DJANGO_SETTINGS_MODULE": "console.settings",
        **environment,
    }
    parts = Parts(folder, variables)
    try:
        preparing = [parts.manage("prepare") for _ in range(hosts)]
        assert {process.wait(120) for process in preparing} == {0}, (folder / "manage.log").read_text()
        parts.start(*names)
        yield parts
    finally:
        parts.kill_all()
