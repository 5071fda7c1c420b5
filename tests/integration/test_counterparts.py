"""A console whose broker is RabbitMQ, and whose links are called by Alertmanager."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from console.pages.shared.trigger_panel.snippet_texts import write_alertmanager_receiver
from tests.harness.alertmanager import now, run_alertmanager
from tests.harness.console import open_url
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.parts import Parts, call_web, run_parts
from tests.harness.projects import Project, list_running
from tests.harness.rabbitmq import PrivateRabbit, provide_rabbit
from tests.harness.redis import is_listening

SLEEP = {"Cmd": ["sleep", "3600"], "StopSignal": "SIGKILL"}
NAMES = ("web1", "worker1", "watch1")
PASSWORD = "right"  # noqa: S105


@dataclass
class Stage:
    parts: Parts
    rabbit: PrivateRabbit

    @property
    def port(self) -> int:
        return self.parts.ports["web1"]

    def read_broker_check(self) -> str:
        answer: str = open_url(f"http://127.0.0.1:{self.port}/readyz")[1]["checks"]["broker"]
        return answer

    def list_states(self, trigger: dict[str, Any]) -> Counter[str]:
        return Counter(
            state for (state,) in self.parts.query(f"SELECT state FROM triggers_triggercall WHERE trigger_id = {trigger['id']}")
        )


@pytest.fixture(scope="module")
def stage(session_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The console begins with a broker that refuses its login."""
    folder = tmp_path_factory.mktemp("counterparts")
    with provide_rabbit(folder / "rabbit") as rabbit:
        rabbit.start("another")
        with run_parts(folder, session_engine.endpoint_url, *NAMES, BROKER_URL=rabbit.url(PASSWORD)) as parts:
            yield Stage(parts, rabbit)


@pytest.fixture
def app(api: docker.APIClient, unique_name: Callable[[str], str], image: Callable[..., str]) -> Project:
    """An application with one container of the service `web`."""
    project = Project(api, unique_name("rabbit"))
    project.add("web", image(f"{project.name}:1", **SLEEP))
    return project


def test_calls_outlast_a_refused_login_and_a_killed_broker(stage: Stage, api: docker.APIClient, app: Project) -> None:
    trigger = stage.parts.console("web1").create_trigger(app.name, "scaling", "web")
    link = f"{trigger['link']}&type=scale_out&step=1"
    assert [call_web(stage.port, link).status for _ in range(3)] == [200] * 3
    assert stage.read_broker_check().startswith("The broker refuses the connection.")
    eventually(lambda: "broker" in (stage.parts.folder / "watch1.log").read_text(), within=20, what="the sweep tries")
    assert {name: process.poll() for name, process in stage.parts.processes.items()} == dict.fromkeys(NAMES)
    assert stage.list_states(trigger) == {"queued": 3}

    stage.rabbit.kill()
    stage.rabbit.start(PASSWORD)
    eventually(lambda: stage.list_states(trigger) == {"succeeded": 3}, within=60, what="the calls that waited are run")
    assert len(list_running(api)) == 4
    eventually(lambda: stage.read_broker_check() == "ok")

    stage.rabbit.kill()
    assert not is_listening(stage.rabbit.port)
    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: call_web(stage.port, link), range(8)))
    assert [answer.status for answer in answers] == [200] * 8
    stage.rabbit.start()
    eventually(lambda: stage.list_states(trigger) == {"succeeded": 11}, within=90, what="all calls have succeeded")
    assert len(list_running(api)) == 12
    assert {name: process.poll() for name, process in stage.parts.processes.items()} == dict.fromkeys(NAMES)


def write_configuration(receivers: dict[str, str]) -> str:
    """Return alertmanager.yml with these receivers, each as the page shows it under the name `windlass`."""
    route = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s", "receiver": next(iter(receivers))}
    route["routes"] = [{"receiver": name, "continue": True} for name in receivers]  # type: ignore[assignment]
    listed = [{**yaml.safe_load(text)["receivers"][0], "name": name} for name, text in receivers.items()]
    return yaml.safe_dump({"route": route, "receivers": listed})


def test_alertmanager_scales_once_for_each_occurrence(
    stage: Stage, api: docker.APIClient, app: Project, tmp_path: Path
) -> None:
    console = stage.parts.console("web1")
    out = console.create_trigger(app.name, "scaling", "web")
    back = console.create_trigger(app.name, "scaling", "web", alert_state="resolved")
    configuration = write_configuration(
        {
            "out": write_alertmanager_receiver(f"{out['link']}&type=scale_out&step=2"),
            "in": write_alertmanager_receiver(f"{back['link']}&type=scale_in&step=2", resolved=True),
        }
    )
    with run_alertmanager(tmp_path / "alertmanager", configuration) as alertmanager:

        def expect(running: int, outs: int, ins: int) -> None:
            """Wait for the effect, and then for two further messages to each receiver, which change nothing."""
            eventually(lambda: len(list_running(api)) == running, within=30, what=f"{running} containers run")
            sent = alertmanager.count_notifications()
            if running > 1:
                eventually(lambda: alertmanager.count_notifications() >= sent + 4, within=20, what="it is repeated")
            states = ({"succeeded": outs}, {"succeeded": ins} if ins else {})
            eventually(lambda: (stage.list_states(out), stage.list_states(back)) == states, what="the calls have succeeded")
            assert len(list_running(api)) == running

        first = now()
        alertmanager.send("Busy", first)
        expect(3, 1, 0)
        alertmanager.send("Busy", first, now())
        expect(1, 1, 1)
        alertmanager.send("Busy", now() - timedelta(milliseconds=1))
        expect(3, 2, 1)
