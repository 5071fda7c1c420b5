"""The configurations and commands of docs/operate.md with the programs that they are for."""

import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import yaml

from console.pages.shared.trigger_panel.snippet_texts import write_alertmanager_receiver
from tests.harness.console import PASSWORD
from tests.harness.documents import read_block
from tests.harness.parts import Parts, run_parts
from tests.harness.proc import find_program
from tests.harness.proxies import CLIENT, HOST, PREFIX, PREFIXED, PROXIES, Proxy, run_proxies

URL = f"https://{HOST}"
METRICS_TOKEN = "token-for-the-tests-of-metrics"  # noqa: S105
LONGEST_WAIT = 600  # seconds that wait= can hold an answer
TOO_LARGE = b"x" * 2_300_000
SEED = """
import json
from django.conf import settings
from clusters.models import Application, Cluster, Registry
from triggers.models import Trigger
from triggers.selectors import build_trigger_link
application = Application.objects.create(cluster=Cluster.objects.first(), name="shop", source="compose")
trigger = Trigger.objects.create(application=application, action="redeploy")
registry = Registry.objects.create(host="registry.example.com")
print(json.dumps([build_trigger_link(trigger, settings.PUBLIC_URL), registry.hook_token]))
"""
TIMEOUTS = {"nginx": r"proxy_read_timeout (\d+)s", "haproxy": r"timeout (?:client|server) (\d+)s", "apache": r"timeout=(\d+)"}


@dataclass
class Stage:
    """The console behind all proxies, and the links of a trigger and of a registry."""

    parts: Parts
    proxies: dict[str, Proxy]
    link: str
    registry_token: str

    @property
    def registry_link(self) -> str:
        return f"{URL}/hook/registry/{self.registry_token}"

    def assert_no_secret_in(self, proxy: Proxy) -> None:
        logs = proxy.read_logs()
        secret = self.link.partition("secret=")[2]
        assert [line for line in logs.splitlines() if secret in line or self.registry_token in line] == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("proxies")
    environment = {
        "WINDLASS_PUBLIC_URL": URL,
        "WINDLASS_TRUSTED_PROXIES": "127.0.0.1",
        "WINDLASS_METRICS_TOKEN": METRICS_TOKEN,
    }
    with run_parts(folder, "unix:///nonexistent.sock", **environment) as parts:
        (folder / "seed.py").write_text(SEED)
        for command in (["collectstatic", "--noinput", "--verbosity=0"], ["shell", "-c", SEED]):
            assert parts.manage(*command).wait(60) == 0, (folder / "manage.log").read_text()
        link, token = json.loads((folder / "manage.log").read_text().splitlines()[-1])
        parts.start("web1")
        with run_proxies(folder, parts.ports["web1"], PROXIES) as proxies:
            yield Stage(parts, proxies, link, token)


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest, stage: Stage) -> Proxy:
    return stage.proxies[request.param]


@pytest.fixture
def session(proxy: Proxy) -> Iterator[requests.Session]:
    with proxy.open_session() as session:
        yield session


def sign_in(session: requests.Session, prefix: str = "") -> None:
    """Sign in as a browser does, beginning with the overview."""
    page = session.get(f"{URL}{prefix}/", timeout=10)
    assert page.url == f"{URL}{prefix}/login/?next={prefix}/"
    assert "max-age" in page.headers["Strict-Transport-Security"]
    style = re.search(r'href="([^"]+\.css)"', page.text)
    assert style
    assert style[1].startswith(f"{prefix}/static/")
    assert session.get(f"{URL}{style[1]}", timeout=10).status_code == 200
    token = next(value for name, value in session.cookies.items() if name.endswith("csrftoken"))
    fields = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token}
    headers = {"Origin": URL, "Referer": page.url}
    signed_in = session.post(f"{URL}{prefix}/login/", fields, headers=headers, timeout=20, allow_redirects=False)
    assert (signed_in.status_code, signed_in.headers["Location"]) == (302, f"{prefix}/")
    assert session.get(f"{URL}{prefix}/", timeout=10, allow_redirects=False).status_code == 200


def test_people_can_sign_in_as_browsers_do(session: requests.Session) -> None:
    sign_in(session)


def test_a_console_below_a_path_works_whether_its_proxy_removes_the_path_or_not(stage: Stage, tmp_path: Path) -> None:
    stage.parts.environment["WINDLASS_PUBLIC_URL"] = f"{URL}{PREFIX}"
    stage.parts.start("web2")
    link = stage.link.replace(URL, f"{URL}{PREFIX}")
    with run_proxies(tmp_path, stage.parts.ports["web2"], PREFIXED) as proxies:
        for proxy in proxies.values():
            with proxy.open_session() as session:
                sign_in(session, PREFIX)
                assert session.get(f"{URL}{PREFIX}/admin/", timeout=10).url == f"{URL}{PREFIX}/admin/"
                answer = session.post(link, timeout=10).json()
                assert answer["statusUrl"].startswith(f"{URL}{PREFIX}/hook/calls/")
                assert session.get(answer["statusUrl"], timeout=10).json()["requestId"] == answer["requestId"]
            stage.assert_no_secret_in(proxy)


def test_links_work_and_no_log_holds_a_secret(stage: Stage, proxy: Proxy, session: requests.Session) -> None:
    answer = session.post(stage.link, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (200, "200"), answer.text
    assert answer.json()["statusUrl"].startswith(f"{URL}/hook/calls/")
    waited = session.post(stage.link, params={"wait": "1"}, timeout=10)
    assert (waited.status_code, waited.json()["code"]) == (504, "504")
    call = answer.json()["requestId"].replace("-", "")
    assert stage.parts.query(f"SELECT source_address FROM triggers_triggercall WHERE id = '{call}'") == [(CLIENT,)]
    for link in (stage.link, stage.registry_link):
        assert session.post(link, data=TOO_LARGE, timeout=20).status_code == 413
    address, _, secret = stage.link.partition("&secret=")
    for body, status in ((b"", 200), (TOO_LARGE, 413)):
        assert session.post(address, data=body, headers={"X-Trigger-Secret": secret}, timeout=20).status_code == status
    stage.assert_no_secret_in(proxy)


def test_a_body_that_the_console_takes_passes(stage: Stage, session: requests.Session) -> None:
    body = json.dumps({"note": "x" * (2 * 1024 * 1024 - 20)}).encode()
    assert 2_097_000 < len(body) <= 2_097_152
    assert session.post(stage.link, data=body, timeout=20).status_code == 200


@pytest.mark.parametrize("name", TIMEOUTS)
def test_a_waiting_caller_is_not_cut_off(name: str) -> None:
    """Caddy waits as long as it takes."""
    found = [int(seconds) for seconds in re.findall(TIMEOUTS[name], read_block("operate.md", name))]
    assert found
    assert min(found) > LONGEST_WAIT


def run_tool(*command: str, given: str = "") -> str:
    program = find_program(command[0])
    assert program, f"{command[0]} is missing; install the packages of scripts/test.sh"
    done = subprocess.run([program, *command[1:]], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_prometheus_takes_the_alerting_rules_and_the_scrape_of_the_docs(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(read_block("operate.md", "yaml", "groups:"))
    assert "SUCCESS: 6 rules found" in run_tool("promtool", "check", "rules", str(tmp_path / "rules.yml"))
    (tmp_path / "token").write_text(METRICS_TOKEN)
    scrape = read_block("operate.md", "yaml", "scrape_configs:").replace("/etc/prometheus/windlass-token", f"{tmp_path}/token")
    (tmp_path / "prometheus.yml").write_text(scrape)
    assert "is valid" in run_tool("promtool", "check", "config", str(tmp_path / "prometheus.yml"))


def test_prometheus_has_nothing_against_the_metrics(stage: Stage) -> None:
    url = f"http://127.0.0.1:{stage.parts.ports['web1']}/metrics"
    answer = requests.get(url, headers={"Authorization": f"Bearer {METRICS_TOKEN}"}, timeout=10)
    assert answer.status_code == 200
    assert "windlass_calls_active" in answer.text
    assert run_tool("promtool", "check", "metrics", given=answer.text) == ""


def test_alertmanager_takes_the_receiver_of_the_page_and_of_the_docs(stage: Stage, tmp_path: Path) -> None:
    for number, receiver in enumerate(
        (write_alertmanager_receiver(f"{stage.link}&type=scale_out&step=2"), read_block("triggers.md", "yaml", "receivers:"))
    ):
        file = tmp_path / f"{number}.yml"
        file.write_text(yaml.safe_dump({"route": {"receiver": "windlass"}}) + receiver)
        assert "SUCCESS" in run_tool("amtool", "check-config", str(file))


class BreaksOff:
    """A web that reads requests and closes the connection without an answer."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self.lines += connection.recv(65536).splitlines()[:1]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_no_proxy_sends_a_call_again_whose_answer_broke_off(stage: Stage, tmp_path: Path) -> None:
    with closing(BreaksOff()) as web, run_proxies(tmp_path, web.port, PROXIES) as proxies:
        for proxy in proxies.values():
            web.lines.clear()
            for method in ("GET", "POST"):
                with proxy.open_session() as session:  # a further request of a connection can be closed without an answer
                    assert session.request(method, stage.link, timeout=20).status_code == 502
            assert [line.partition(b" ")[0] for line in web.lines] == [b"GET", b"POST"], proxy.name
            stage.assert_no_secret_in(proxy)


def test_no_log_holds_a_secret_while_the_console_does_not_answer(stage: Stage) -> None:
    """The last test: the console ends. All are asked at once, since some try again for seconds."""
    stage.parts.kill("web1")

    def call(proxy: Proxy, link: str) -> int:
        with proxy.open_session() as session:
            return session.post(link, timeout=30).status_code

    calls = [(proxy, link) for proxy in stage.proxies.values() for link in (stage.link, stage.registry_link)]
    with ThreadPoolExecutor(len(calls)) as callers:
        assert set(callers.map(call, *zip(*calls, strict=True))) <= {502, 503}
    for proxy in stage.proxies.values():
        stage.assert_no_secret_in(proxy)
