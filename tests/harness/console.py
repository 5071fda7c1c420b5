"""Runs a whole console as a user does: `manage.py up` in its own data folder, on a free port, with a given engine."""

import contextlib
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, start_process, stop_process

BASE_DIR = Path(__file__).resolve().parents[2]
PASSWORD = "a password for tests"  # noqa: S105


@dataclass
class RunningConsole:
    """A running console. `url` has no trailing slash; `process` is the supervisor."""

    url: str
    data_dir: Path
    log_file: Path
    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    session: requests.Session | None = None

    def manage(self, *arguments: str) -> str:
        """Run a manage.py command beside the console and return its output."""
        command = [sys.executable, str(BASE_DIR / "manage.py"), *arguments]
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def request(self, method: str, path: str, data: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Make an API request as `admin`, who signs in at the first one. Returns status and JSON."""
        self.session = self.session or sign_in(self.url)
        headers = {"X-CSRFToken": self.session.cookies.get("csrftoken"), "Referer": self.url}
        answer = self.session.request(method, f"{self.url}{path}", json=data, headers=headers, timeout=120)
        return answer.status_code, answer.json()

    def forget_triggers(self) -> None:
        """Delete all triggers with their calls, all channels, and the audit log. Works with SQLite only, while no call runs."""
        with contextlib.closing(sqlite3.connect(self.data_dir / "windlass.sqlite3", timeout=30)) as database, database:
            sent = ("notificationdelivery", "notificationrule", "notification", "notificationchannel")
            for table in (*sent, "callevidence", "triggercallevent", "triggercall", "trustedjob", "trigger"):
                database.execute(f"DELETE FROM triggers_{table}")
            database.execute("DELETE FROM clusters_auditentry")

    def create_trigger(self, application: str, action: str, service: str = "", **more: Any) -> dict[str, Any]:
        """Create a trigger through the API, once discovery has found the application."""

        def find(kind: str, query: str, name: str) -> dict[str, Any] | None:
            results = self.request("GET", f"/api/v1/{kind}/?{query}")[1]["results"]
            return next((row for row in results if row["name"] == name), None)

        found = eventually(
            lambda: find("applications", f"search={application}", application), what=f"{application} is discovered"
        )
        body: dict[str, Any] = {"application": found["id"], "action": action, **more}
        if service:
            query = f"application={found['id']}"
            body["service"] = eventually(lambda: find("services", query, service), what=f"{service} is discovered")["id"]
        status, trigger = self.request("POST", "/api/v1/triggers/", body)
        assert status == 201, trigger
        return trigger


def sign_in(url: str) -> requests.Session:
    """Sign in as `admin`."""
    session = requests.Session()
    page = f"{url}/login/"
    session.get(page, timeout=60)
    fields = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
    session.post(page, fields, headers={"Referer": page}, timeout=60).raise_for_status()
    return session


def open_url(target: urllib.request.Request | str, timeout: float = 120) -> tuple[int, dict[str, Any]]:
    """Return status and JSON, whatever the status."""
    try:
        with urllib.request.urlopen(target, timeout=timeout) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def call_link(trigger: dict[str, Any], **parameters: Any) -> tuple[int, dict[str, Any]]:
    """Call a trigger's link as curl would."""
    more = "".join(f"&{urllib.parse.urlencode({name: value})}" for name, value in parameters.items())
    return open_url(trigger["link"] + more)


FIRST_START = True
# The folder in which all processes of a test run find a prepared data folder. The first that needs it prepares it.
PREPARED_FOLDER = "TESTS_PREPARED_FOLDER"
PREPARE = """
import os
os.umask(0o077)  # as `manage.py up` has it
import django
django.setup()
from console.process import preparation
preparation.make_data_directory()
preparation.migrate_database()
preparation.collect_static_files()
"""


def copy_prepared_folder(data_dir: Path) -> None:
    """Make the data folder with a migrated database and the static files, and nothing else: no key, no user and no cluster.
    To prepare one takes 3 s of a processor; `manage.py up` would do the same."""
    folder = Path(os.environ[PREPARED_FOLDER])
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "data").exists():
            own = {"WINDLASS_DATA_DIR": str(folder / "new"), "DJANGO_SETTINGS_MODULE": "console.settings"}
            subprocess.run([sys.executable, "-c", PREPARE], cwd=BASE_DIR, env={**os.environ, **own}, check=True)
            for key in (folder / "new").glob("*.key"):
                key.unlink()
            (folder / "new").rename(folder / "data")
    shutil.copytree(folder / "data", data_dir)


@contextlib.contextmanager
def run_console(data_dir: Path, engine_url: str, first_start: bool = False, /, **environment: str) -> Iterator[RunningConsole]:
    """Start a console and yield it when it serves the login page. Stop all of it at the end. With `first_start`, it has to
    prepare its data folder itself."""
    if PREPARED_FOLDER in os.environ and not first_start and not data_dir.exists():
        copy_prepared_folder(data_dir)
    port = find_free_port()
    variables = {
        "WINDLASS_DATA_DIR": str(data_dir),
        "WINDLASS_PORT": str(port),
        "WINDLASS_ADMIN_PASSWORD": PASSWORD,
        "WINDLASS_SAMPLE": "0",
        "DOCKER_HOST": engine_url,
        "DJANGO_SETTINGS_MODULE": "console.settings",
        **environment,
    }
    log_file = data_dir.parent / f"{data_dir.name}.log"
    process = start_process([sys.executable, str(BASE_DIR / "manage.py"), "up"], log_file, variables)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: is_served(f"{url}/login/"), within=90, what="the login page is served")
        yield RunningConsole(url, data_dir, log_file, process, variables)
    finally:
        stop_process(process, grace=30)


def is_served(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
