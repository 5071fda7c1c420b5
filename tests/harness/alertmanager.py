"""A private Alertmanager on a free port of 127.0.0.1, alone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests

from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, find_program, start_process, stop_process
from tests.harness.redis import is_listening


@dataclass
class PrivateAlertmanager:
    url: str

    def send(self, name: str, starts: datetime, ends: datetime | None = None) -> None:
        """Report an alert, as Prometheus does."""
        alert = {"labels": {"alertname": name}, "startsAt": starts.isoformat()}
        if ends:
            alert["endsAt"] = ends.isoformat()
        requests.post(f"{self.url}/api/v2/alerts", json=[alert], timeout=10).raise_for_status()

    def count_notifications(self) -> int:
        """Return how many messages it has sent to webhooks."""
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        found = re.search(r'^alertmanager_notifications_total\{integration="webhook"\} (\d+)', text, re.MULTILINE)
        return int(found[1]) if found else 0


@contextmanager
def run_alertmanager(folder: Path, configuration: str) -> Iterator[PrivateAlertmanager]:
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(configuration)
    program = find_program("prometheus-alertmanager")
    assert program, "Alertmanager is missing; install it with: apt-get install prometheus-alertmanager"
    port = find_free_port()
    command = [program, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    process = start_process(command, folder / "alertmanager.log")
    try:
        eventually(lambda: is_listening(port), within=20, what="Alertmanager answers")
        yield PrivateAlertmanager(f"http://127.0.0.1:{port}")
    finally:
        stop_process(process)


def now() -> datetime:
    return datetime.now(UTC)
