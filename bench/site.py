"""The site of the benchmarks on a plain engine: a private engine, a console that manages it, and Compose projects."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from bench.processes import stilled, wait_until_quiet
from tests.harness.compose import ComposeProject
from tests.harness.console import RunningConsole, call_link, run_console
from tests.harness.engine import PrivateEngine, run_engine
from tests.harness.images import create_base_image, make_image

IMAGE = "windlass-bench/web:1"
PORT = 8080
# Ends gracefully: it takes no new connections and answers those that it has.
SERVE = ["/bin/sh", "-c", f"httpd -f -p {PORT} -h /srv & trap 'kill $!; sleep 0.2; exit 0' TERM; wait"]
# Peers do not watch containers after their start, so neither does Windlass. Compose replaces all containers at once.
LABELS = {"windlass.update.monitor": "0", "windlass.update.parallelism": "20"}
PATIENCE = 600  # seconds


@dataclass
class Site:
    folder: Path
    engine: PrivateEngine
    api: docker.APIClient
    console: RunningConsole

    def make_project(self, name: str, **service: Any) -> ComposeProject:
        """Write a Compose file with one service, `web`."""
        web = {"image": IMAGE, "labels": LABELS, **service}
        return ComposeProject(self.engine, self.folder / name, name, {"web": web})

    def list_containers(self, project: str) -> list[str]:
        """Return the ids of the running containers."""
        label = f"com.docker.compose.project={project}"
        return [found["Id"] for found in self.api.containers(filters={"label": label})]

    def stilled(self) -> contextlib.AbstractContextManager[None]:
        """Stop the console's processes while its peer works."""
        return stilled(self.console.process.pid)

    def settle(self) -> None:
        """Wait until the console has processed what happened on the engine."""
        wait_until_quiet(self.console.process.pid)


@contextlib.contextmanager
def run_site(**environment: str) -> Iterator[Site]:
    """Run an engine and a console, which gets `environment` as settings."""
    with tempfile.TemporaryDirectory() as name, run_engine() as engine, engine.connect(timeout=PATIENCE) as api:
        create_base_image(api)
        make_image(api, IMAGE, Cmd=SERVE)
        folder = Path(name)
        with run_console(folder / "data", engine.endpoint_url, **environment) as console:
            yield Site(folder, engine, api, console)


def call_until_done(trigger: dict[str, Any], **parameters: Any) -> None:
    """Call the link and wait until the call ends. Raises AssertionError unless it succeeds."""
    status, answer = call_link(trigger, wait=PATIENCE, **parameters)
    assert status == 200, answer
