"""`manage.py up`, really run: what it starts, restarts, refuses and stops."""

import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import docker
import pytest
import requests

from console.process.sample import start_sample_if_empty
from tests.harness.console import BASE_DIR, FIRST_START, RunningConsole, is_served, open_url, run_console
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port
from tests.harness.projects import Project

PARTS = ("web", "worker", "watch")


@pytest.fixture
def console(tmp_path: Path, engine: PrivateEngine) -> Iterator[RunningConsole]:
    with run_console(tmp_path / "data", engine.endpoint_url, FIRST_START) as running:
        yield running


@pytest.fixture(scope="module")
def quiet_console(tmp_path_factory: pytest.TempPathFactory, session_engine: PrivateEngine) -> Iterator[RunningConsole]:
    """Provide one console for all tests that only read."""
    with run_console(tmp_path_factory.mktemp("up") / "data", session_engine.endpoint_url) as running:
        yield running


def find_parts(supervisor: int) -> dict[str, int]:
    """Return the process ids of the supervisor's children by the name of their part."""
    parts: dict[str, int] = {}
    for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        words = read_command(int(pid))
        if words and words[-1] in PARTS and words[-2].endswith("manage.py"):
            parts[words[-1]] = int(pid)
    return parts


def read_command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def wait_for_parts(console: RunningConsole) -> dict[str, int]:
    def all_parts() -> dict[str, int] | None:
        found = find_parts(console.process.pid)
        return found if set(found) == set(PARTS) else None

    return eventually(all_parts, within=30, what="web, worker and watch run")  # type: ignore[return-value]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def run_up(data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "WINDLASS_DATA_DIR": str(data_dir),
        "WINDLASS_PORT": str(find_free_port()),
        "WINDLASS_SAMPLE": "0",
        **environment,
    }
    command = [sys.executable, str(BASE_DIR / "manage.py"), "up"]
    return subprocess.run(command, check=False, env={**os.environ, **variables}, capture_output=True, text=True, timeout=30)


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode in {1, 2}
    text = done.stderr.strip()
    assert text.count("\n") == 0, text
    for word in words:
        assert word in text


def test_a_part_that_is_killed_starts_again_and_a_signal_stops_all(console: RunningConsole) -> None:
    before = wait_for_parts(console)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: all(find_parts(console.process.pid).get(name) not in {None, pid} for name, pid in before.items()),
        within=30,
        what="every part runs again",
    )
    eventually(lambda: is_served(f"{console.url}/login/"), within=30, what="the login page is served again")
    assert_stops(console, signal.SIGTERM)


def assert_stops(console: RunningConsole, number: signal.Signals) -> None:
    """Check that every part and `up` itself end without an error."""
    parts = wait_for_parts(console)
    console.process.send_signal(number)
    assert console.process.wait(20) == 0
    assert all(is_gone(pid) for pid in parts.values())
    assert "Traceback" not in console.log_file.read_text()


def test_a_second_console_in_the_data_folder_is_refused(quiet_console: RunningConsole) -> None:
    assert_one_sentence(run_up(quiet_console.data_dir), "Another console", str(quiet_console.data_dir))
    assert is_served(f"{quiet_console.url}/login/")


def test_everything_in_the_data_folder_is_private(quiet_console: RunningConsole) -> None:
    wait_for_parts(quiet_console)
    assert stat.S_IMODE(quiet_console.data_dir.stat().st_mode) == 0o700
    for name in ("secret.key", "encryption.key", "windlass.sqlite3"):
        assert stat.S_IMODE((quiet_console.data_dir / name).stat().st_mode) == 0o600, name


def test_the_admin_is_made_once_and_its_given_password_not_printed(quiet_console: RunningConsole) -> None:
    assert "a password for tests" not in quiet_console.log_file.read_text()
    with sqlite3.connect(quiet_console.data_dir / "windlass.sqlite3") as database:
        users = database.execute("SELECT username, is_superuser FROM auth_user").fetchall()
    assert users == [("admin", 1)]


def test_the_parts_do_not_keep_the_admin_password(quiet_console: RunningConsole) -> None:
    for pid in wait_for_parts(quiet_console).values():
        assert b"WINDLASS_ADMIN_PASSWORD" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_generated_password_is_printed_at_the_first_start_alone(tmp_path: Path, engine: PrivateEngine) -> None:
    data_dir = tmp_path / "data"
    with run_console(data_dir, engine.endpoint_url, FIRST_START, WINDLASS_ADMIN_PASSWORD="") as first:
        password = re.search(r"^ +password +(\S+)$", first.log_file.read_text(), re.MULTILINE)
        assert_stops(first, signal.SIGINT)
    assert password
    with run_console(data_dir, engine.endpoint_url, WINDLASS_ADMIN_PASSWORD="") as second:
        second.process.terminate()
        second.process.wait(20)
        assert len(re.findall(r"^ +password ", second.log_file.read_text(), re.MULTILINE)) == 1
    kept = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert password[1].encode() not in kept


def test_the_local_engine_is_registered_and_seen(quiet_console: RunningConsole) -> None:
    def local() -> tuple[str, str]:
        with sqlite3.connect(quiet_console.data_dir / "windlass.sqlite3") as database:
            return database.execute("SELECT name, status FROM clusters_cluster").fetchone()

    eventually(lambda: local() == ("local", "reachable"), within=30, what="the cluster local is reachable")


def test_an_empty_engine_gets_the_sample_application(tmp_path: Path, engine: PrivateEngine, api: docker.APIClient) -> None:
    def names() -> list[str]:
        return sorted(name for container in api.containers() for name in container["Names"])

    expected = ["/hello-web-1", "/hello-web-2", "/hello-worker-1"]
    with run_console(tmp_path / "data", engine.endpoint_url, FIRST_START, WINDLASS_SAMPLE="1"):
        eventually(lambda: names() == expected, within=30, what="the sample application runs")
        healthy = {"label": "com.docker.compose.service=web", "health": "healthy"}
        eventually(lambda: len(api.containers(filters=healthy)) == 2, within=30, what="both web containers are healthy")


def test_an_engine_with_a_container_that_was_never_started_gets_no_sample(engine: PrivateEngine, image, api) -> None:
    container = api.create_container(image(), name="mine")
    assert start_sample_if_empty(engine.endpoint) == ""
    assert [found["Id"] for found in api.containers(all=True)] == [container["Id"]]


def test_the_console_starts_without_an_engine_and_no_part_outlives_its_supervisor(tmp_path: Path) -> None:
    with run_console(tmp_path / "data", f"unix://{tmp_path}/none.sock") as console:
        parts = wait_for_parts(console)

        def status() -> str:
            with sqlite3.connect(console.data_dir / "windlass.sqlite3") as database:
                return database.execute("SELECT status FROM clusters_cluster").fetchone()[0]

        eventually(lambda: status() == "unreachable", within=30, what="the cluster is shown as unreachable")
        console.process.kill()
        eventually(lambda: all(is_gone(pid) for pid in parts.values()), within=10, what="the parts have ended")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WINDLASS_PORT", "http"),
        ("DOCKER_HOST", "ftp://engine"),
        ("DATABASE_URL", "oracle://host/db"),
        ("WINDLASS_LOG_LEVEL", "loud"),
        ("WINDLASS_METRICS_TOKEN", "too short"),
        ("WINDLASS_DATA_DIR", "/dev/null/data"),
        ("WINDLASS_HOST", "192.0.2.1"),
    ],
)
def test_a_wrong_value_ends_the_start_with_one_sentence(name: str, value: str, tmp_path: Path) -> None:
    assert_one_sentence(run_up(tmp_path / "data", **{name: value}), "" if name == "WINDLASS_DATA_DIR" else name)


def test_a_database_that_does_not_answer_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    url = f"postgres://user:hidden@127.0.0.1:{find_free_port()}/windlass"
    done = run_up(tmp_path / "data", DATABASE_URL=url)
    assert_one_sentence(done, "database")
    assert "hidden" not in done.stderr


def test_a_taken_port_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_one_sentence(run_up(tmp_path / "data", WINDLASS_PORT=port), port, "WINDLASS_PORT")


def running_commands(supervisor: int) -> str:
    """Return every manage.py command that runs or has yet to start."""
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    started = int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    if uptime - started < 6:
        return "start_sample"  # it is started two seconds after the others
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return " ".join(" ".join(read_command(int(pid))) for pid in children)


def test_a_running_console_is_ready_and_counts_its_calls(tmp_path: Path, engine: PrivateEngine, image, api) -> None:
    token = "a-token-for-prometheus"
    Project(api, "shop").add("web", image())
    environment = {"WINDLASS_METRICS_TOKEN": token, "WINDLASS_LOG_FORMAT": "json", "WINDLASS_SAMPLE": "1"}
    with run_console(tmp_path / "data", engine.endpoint_url, **environment) as console:
        eventually(lambda: open_url(f"{console.url}/readyz")[1]["ready"], within=30, what="the console is ready")
        trigger = console.create_trigger("shop", "redeploy")
        request = urllib.request.Request(f"{trigger['link']}&wait=60", headers={"X-Request-ID": "build-4711"})
        assert open_url(request)[1]["state"] == "succeeded"

        def metrics() -> str:
            return requests.get(f"{console.url}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=30).text

        counted = 'windlass_calls_ended_total{action="redeploy",state="succeeded",reason=""} 1\n'
        eventually(lambda: counted in metrics(), within=30, what="the worker's call is counted")  # by another process
        found = metrics()
        for line in (
            *(f'windlass_processes{{part="{part}"}} 1' for part in PARTS),
            'windlass_cluster_reachable{cluster="local"} 1',
        ):
            assert line in found
        assert 'windlass_engine_requests_total{cluster="local",outcome="ok"}' in found
        eventually(
            lambda: "start_sample" not in running_commands(console.process.pid), within=20, what="the sample was decided"
        )
        assert len(api.containers(all=True)) == 1  # an engine with a container gets none
        log = console.log_file.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    events = {line["event"] for line in lines if line.get("request_id") == "build-4711"}
    assert events == {"request", "call accepted", "operation", "call ended"}
    assert parse_qs(urlsplit(trigger["link"]).query)["secret"][0] not in log
    assert token not in log
