"""What the benchmarks on a plain engine work with: a private engine, a console before it, and Compose projects."""

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
# Ends as a good server does: it takes no new connection, and answers those it has.
SERVE = ["/bin/sh", "-c", f"httpd -f -p {PORT} -h /srv & trap 'kill $!; sleep 0.2; exit 0' TERM; wait"]
# A peer looks at nothing after the start, so neither does Windlass. Compose works at all containers of a service at once.
LABELS = {"windlass.update.monitor": "0", "windlass.update.parallelism": "20"}
PATIENCE = 600  # seconds


@dataclass
class Site:
    folder: Path
    engine: PrivateEngine
    api: docker.APIClient
    console: RunningConsole

    def make_project(self, name: str, **service: Any) -> ComposeProject:
        """A Compose file of one service, `web`."""
        web = {"image": IMAGE, "labels": LABELS, **service}
        return ComposeProject(self.engine, self.folder / name, name, {"web": web})

    def list_containers(self, project: str) -> list[str]:
        """The ids of those that run."""
        label = f"com.docker.compose.project={project}"
        return [found["Id"] for found in self.api.containers(filters={"label": label})]

    def stilled(self) -> contextlib.AbstractContextManager[None]:
        """The console sleeps while its peer works."""
        return stilled(self.console.process.pid)

    def settle(self) -> None:
        """The console has taken note of what was done on the engine."""
        wait_until_quiet(self.console.process.pid)


@contextlib.contextmanager
def run_site(**environment: str) -> Iterator[Site]:
    """`environment`: settings of the console."""
    with tempfile.TemporaryDirectory() as name, run_engine() as engine, engine.connect(timeout=PATIENCE) as api:
        create_base_image(api)
        make_image(api, IMAGE, Cmd=SERVE)
        folder = Path(name)
        with run_console(folder / "data", engine.endpoint_url, **environment) as console:
            yield Site(folder, engine, api, console)


def call_until_done(trigger: dict[str, Any], **parameters: Any) -> None:
    """Calls the link and waits for the end. AssertionError where that is no success."""
    status, answer = call_link(trigger, wait=PATIENCE, **parameters)
    assert status == 200, answer
