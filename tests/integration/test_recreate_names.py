"""What the engine fixes by a container's name when it starts: log tags, the journal, start events."""

import time
from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.harness.driving import redeploy
from tests.harness.engine import PrivateEngine
from tests.harness.images import CRASH
from tests.harness.projects import Project, create_container

ImageMaker = Callable[..., str]
TALKS = ["/bin/sh", "-c", "echo started; trap 'exit 0' TERM; sleep 100000 & wait"]
TAGGED = {"LogConfig": {"Type": "json-file", "Config": {"tag": "{{.Name}}"}}}


def read_tag(api: docker.APIClient, container: str) -> str:
    """Return what the container's log lines are tagged with."""
    answer = api._get(api._url("/containers/{0}/logs", container), params={"stdout": 1, "details": 1, "tail": 1})
    return str(answer.content[8:].decode().split(" ")[0])


@pytest.mark.parametrize(
    "host_config",
    [{}, {"Binds": ["data:/data"]}, {"Binds": ["data:/data"], "AutoRemove": True}],
    ids=["start", "stop", "remove"],
)
def test_the_new_container_is_started_under_its_true_name(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker, host_config: dict[str, Any]
) -> None:
    app = image(Cmd=TALKS)
    config: dict[str, Any] = {"HostConfig": {**TAGGED, **host_config}}
    front = project.add_network()
    create_container(api, "web", app, **config)
    project.add("web", app, networks={front: {"Aliases": ["web", "shop-web-1"]}}, **config)
    begun = time.time()
    image(app, Cmd=CRASH)
    assert redeploy(engine, "web", source="container").state == "rolled_back"
    assert read_tag(api, "web") == "tag=web" or host_config.get("AutoRemove")
    image(app, Cmd=TALKS)
    assert redeploy(engine, "web", source="container").state == "succeeded"
    assert redeploy(engine).state == "succeeded"
    assert [read_tag(api, name) for name in ("web", "shop-web-1")] == ["tag=web", "tag=shop-web-1"]
    events = list(api.events(since=begun, until=time.time(), filters={"event": "start"}, decode=True))
    started = {event["Actor"]["Attributes"]["name"] for event in events if event["Type"] == "container"}
    # A container that the engine removed is restored from its spare, which shows by its name what remains to be done.
    assert {name for name in started if ".windlass-kept." not in name or not host_config.get("AutoRemove")} == {
        "web",
        "shop-web-1",
    }
