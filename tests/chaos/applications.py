"""The kinds of applications that trials use. All are named `shop`, and each is alone on its engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import docker

from tests.chaos.machine import Machine
from tests.harness.images import CRASH, make_image
from tests.harness.proc import find_free_port
from tests.harness.projects import Project, create_container

NAME = "shop"
IMAGE = "shop/app:1"
OLD, NEW, BAD = "shop/old:1", "shop/new:1", "shop/bad:1"  # the first image behind IMAGE, and those that it becomes
FAST = {"windlass.update.monitor": "300ms"}
ALWAYS = {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}
VOLUME = {"Binds": ["shop_data:/data"]}
ANONYMOUS = {"/anonymous": {}}
SWARM_FAST = (
    "--restart-delay=0s",
    "--update-monitor=500ms",
    "--rollback-monitor=500ms",
    "--label=windlass.update.monitor=300ms",
    "--update-failure-action=pause",
    "--endpoint-mode=dnsrr",
    "--mount=type=volume,source=shop_data,target=/data",
)


@dataclass(frozen=True)
class Service:
    """A service. `missing`: containers that a redeploy may stop before it starts others. `clones`: the number of its `count`
    containers that a scale-out made."""

    count: int = 1
    missing: int = 1
    clones: int = 0
    host: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    fixed_port: bool = False


@dataclass(frozen=True)
class Kind:
    """An application. `source` is the console's. `fails`: the new image fails. `acts`: what a trial can do; `web` scales."""

    services: Mapping[str, Service]
    source: str = "compose"
    fails: bool = False
    acts: tuple[str, ...] = ("redeploy",)

    @property
    def on_swarm(self) -> bool:
        return self.source == "service"

    @property
    def web(self) -> Service:
        return self.services["web"]


START_FIRST = Service(count=2, missing=0, host=ALWAYS)
STOP_FIRST = Service(count=2, host={**VOLUME, **ALWAYS})
WITH_ANONYMOUS = Service(count=3, host=ALWAYS, config={"Volumes": ANONYMOUS})
DB = Service(host={**VOLUME, **ALWAYS})
AFTER_DB = {"com.docker.compose.depends_on": "db:service_started:false"}

KINDS: dict[str, Kind] = {
    "port": Kind({"web": Service(host=ALWAYS, fixed_port=True)}),
    "volume": Kind({"web": STOP_FIRST}, acts=("redeploy", "out", "queue")),
    "start-first": Kind({"web": START_FIRST}, acts=("redeploy", "out", "queue")),
    "anonymous": Kind({"web": WITH_ANONYMOUS}, acts=("redeploy", "out")),
    "clones": Kind({"web": Service(4, 1, clones=2, host=ALWAYS, config={"Volumes": ANONYMOUS})}, acts=("in", "redeploy")),
    "project": Kind({"db": DB, "web": Service(2, 0, host=ALWAYS, labels=AFTER_DB)}),
    "side-by-side": Kind({"web": Service(3, 0, host=ALWAYS, labels={"windlass.update.parallelism": "2"})}),
    "vanishing": Kind({"web": Service(1, 1, host={**VOLUME, "AutoRemove": True})}),
    "bad": Kind({"web": STOP_FIRST}, fails=True),
    "bad-start-first": Kind({"web": START_FIRST}, fails=True),
    "bad-project": Kind({"db": DB, "web": Service(1, 0, host=ALWAYS, labels=AFTER_DB)}, fails=True),
    "lone": Kind({"web": Service(1, 0, host=ALWAYS)}, source="container", acts=("redeploy", "out")),
    "swarm": Kind({"web": Service(3, 1)}, source="service", acts=("redeploy", "out", "in")),
    "swarm-bad": Kind({"web": Service(2, 1)}, source="service", fails=True),
}


def make_images(api: docker.APIClient) -> None:
    """Create the images. Call it once per engine."""
    for reference, config in ((OLD, {}), (NEW, {}), (BAD, {"Cmd": CRASH})):
        make_image(api, reference, Env=[f"BUILD={reference}"], **config)


def find_image(kind: Kind) -> str:
    return BAD if kind.fails else NEW


def arrange(machine: Machine, api: docker.APIClient, kind: Kind) -> None:
    """Create the application with the old image."""
    if kind.on_swarm:
        arrange_service(machine, kind)
    else:
        move_tag(api, OLD)
        (arrange_lone if kind.source == "container" else arrange_project)(api, kind)


def arrange_project(api: docker.APIClient, kind: Kind) -> None:
    project = Project(api, NAME)
    networks = {project.add_network(): {}, project.add_network("back"): {}}
    for name, service in kind.services.items():
        for number in range(1, service.count + 1):
            clone = {"windlass.clone": "true"} if number > service.count - service.clones else {}
            endpoints = {network: {"Aliases": [name, f"{name}-{number}"]} for network in networks}
            labels = {**FAST, **service.labels, **clone}
            project.add(name, IMAGE, number, networks=endpoints, labels=labels, **make_config(service))


def make_config(service: Service) -> dict[str, Any]:
    ports = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(find_free_port())}]} if service.fixed_port else {}
    return {**service.config, "HostConfig": {**service.host, "PortBindings": ports}}


def arrange_lone(api: docker.APIClient, kind: Kind) -> None:
    api.create_network("shop_net")
    create_container(api, NAME, IMAGE, networks={"shop_net": {}}, labels=FAST, **make_config(kind.web))


def arrange_service(machine: Machine, kind: Kind) -> None:
    assert machine.swarm
    image = machine.swarm.publish("app", Env=["BUILD=old"])
    # Without a delay, Swarm updates the next task before it notices that the last one crashed.
    delay = ("--update-delay=1s",) if kind.fails else ()
    machine.swarm.create_service(NAME, image, *SWARM_FAST, *delay, f"--replicas={kind.web.count}")
    machine.swarm.wait_for_tasks(NAME, kind.web.count, within=60)


def publish(machine: Machine, api: docker.APIClient, kind: Kind) -> str:
    """The tag moves on; what now counts as the new image: its id, on a Swarm `reference@digest`."""
    if not kind.on_swarm:
        move_tag(api, find_image(kind))
        return str(api.inspect_image(IMAGE)["Id"])
    assert machine.swarm
    config = {"Cmd": CRASH} if kind.fails else {}
    reference = machine.swarm.publish("app", Env=["BUILD=new"], **config)
    return f"{reference}@{machine.swarm.registry.read_digest('app', '1')}"


def move_tag(api: docker.APIClient, build: str) -> None:
    repository, _, tag = IMAGE.rpartition(":")
    api.tag(build, repository, tag, force=True)
