"""A realistic console for pictures: the engine and the Swarm of a small shop, its triggers, and a week of calls.

Everything on the engines and the calls of today are real; only the days before are copied from today by `demo_rows`.
"""

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from tests.harness.console import RunningConsole, open_url, run_console
from tests.harness.engine import PrivateEngine, run_engine
from tests.harness.eventually import eventually
from tests.harness.images import CRASH, HEALTHY, UNHEALTHY, create_base_image, make_image
from tests.harness.proc import find_free_port
from tests.harness.projects import Project, create_container
from tests.harness.registry import LOGIN, PrivateRegistry, run_registry
from tests.harness.swarm import PrivateSwarm, run_swarm

PUBLIC_URL = "http://windlass.example.com"  # in links; nothing answers there
CALL_LIMIT = 120.0  # seconds
QUICK = {"windlass.update.monitor": "1s"}
SLOW = {"windlass.update.monitor": "3m"}  # its call still runs while the pictures are taken

GREEN, YELLOW, RED, BLUE, PLAIN = (f"\\033[{code}m" for code in (32, 33, 31, 36, 0))
LOGS = {
    "web": (
        f"{GREEN}200{PLAIN} GET /products/1842 12 ms",
        f"{GREEN}200{PLAIN} GET /search?q=tea 31 ms",
        f"{BLUE}304{PLAIN} GET /assets/app.css 1 ms",
        f"{GREEN}201{PLAIN} POST /cart 18 ms",
        f"{YELLOW}404{PLAIN} GET /favicon.ico 0 ms",
        f"{RED}502{PLAIN} GET /recommendations 2004 ms: upstream timed out",
    ),
    "api": (
        f"{BLUE}INFO{PLAIN}  order 88213 placed, 3 items, 41.90 EUR",
        f"{BLUE}INFO{PLAIN}  stock of tea-042 is 17",
        f"{YELLOW}WARN{PLAIN}  payment provider answered after 1.8 s",
        f"{BLUE}INFO{PLAIN}  order 88213 paid",
    ),
    "worker": (
        f"{BLUE}INFO{PLAIN}  mail to customer 5521 sent",
        f"{BLUE}INFO{PLAIN}  thumbnail 1842 made in 84 ms",
        f"{RED}ERROR{PLAIN} invoice 7719: printer queue is full, tried again in 30 s",
    ),
}
QUIET = ("ready to accept connections",)


def serve(lines: tuple[str, ...] = QUIET) -> list[str]:
    """Return a command that prints the lines, one every two seconds, and stops at once on SIGTERM."""
    says = "; ".join(f'echo -e "{line}"; sleep 2 & wait $!' for line in lines)
    return ["/bin/sh", "-c", f"trap 'exit 0' TERM; while :; do {says}; done"]


@dataclass
class Demo:
    console: RunningConsole
    engine: PrivateEngine
    swarm: PrivateSwarm
    registry: PrivateRegistry
    api: docker.APIClient

    def create_trigger(self, application: str, action: str, name: str, service: str = "", **more: Any) -> dict[str, Any]:
        return self.console.create_trigger(application, action, service, name=name, **more)

    def call(self, trigger: dict[str, Any], agent: str, **parameters: Any) -> dict[str, Any]:
        """Call the trigger's link as `agent` would."""
        link = trigger["link"].replace(PUBLIC_URL, self.console.url)
        link += "".join(f"&{name}={value}" for name, value in parameters.items())
        return open_url(urllib.request.Request(link, headers={"User-Agent": agent}))[1]

    def finish(self, answer: dict[str, Any]) -> str:
        """Wait until the call ends and return its state."""

        def read_state() -> str:
            state = str(self.console.request("GET", f"/api/v1/calls/{answer['requestId']}/")[1]["state"])
            return "" if state in ("queued", "running") else state

        return eventually(read_state, within=CALL_LIMIT, every=0.5, what="the call ends")

    def fill_rows(self, step: str) -> dict[str, Any]:
        """Run tests.harness.demo_rows.<step> in the console's Django and return its result."""
        code = f"import json; from tests.harness import demo_rows; print(json.dumps(demo_rows.{step}))"
        found: dict[str, Any] = json.loads(self.console.manage("shell", "-v", "0", "-c", code).splitlines()[-1])
        return found


@contextlib.contextmanager
def run_demo(folder: Path) -> Iterator[Demo]:
    """Run the demo. It takes two or three minutes to start, and needs root as every private engine does."""
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(run_engine())
        swarm = stack.enter_context(run_swarm(3))
        api = stack.enter_context(engine.connect())
        create_base_image(api)
        console = stack.enter_context(run_console(folder / "data", engine.endpoint_url, WINDLASS_PUBLIC_URL=PUBLIC_URL))
        registry = stack.enter_context(run_shop_registry(console, folder / "registry"))
        start_projects(api, registry)
        start_stack(swarm)
        demo = Demo(console, engine, swarm, registry, api)
        demo.fill_rows(f"add_people_and_swarm({swarm.endpoint_url!r})")
        make_calls(demo)
        demo.fill_rows("copy_calls_to_days_before()")
        demo.fill_rows("add_trust()")
        demo.fill_rows("add_notifications()")
        yield demo


@contextlib.contextmanager
def run_shop_registry(console: RunningConsole, folder: Path) -> Iterator[PrivateRegistry]:
    """Run the shop's registry. The console knows its password and gets its pushes."""
    folder.mkdir()
    port = find_free_port()
    account = {"username": LOGIN["user"], "password": LOGIN["password"]}
    stored = console.request("POST", "/api/v1/registries/", {"host": f"127.0.0.1:{port}", "plain_http": True, **account})[1]
    link = stored["hook_link"].replace(PUBLIC_URL, console.url)
    ignored = {"mediatypes": ["application/octet-stream"], "actions": ["pull"]}
    endpoint = {"name": "windlass", "url": link, "timeout": "5s", "threshold": 3, "backoff": "1s", "ignore": ignored}
    with run_registry(folder, **LOGIN, port=port, notify=[endpoint]) as registry:
        yield registry


def start_projects(api: docker.APIClient, registry: PrivateRegistry) -> None:
    own = f"{registry.host}/shop"
    shop = Project(api, "shop")
    network = {shop.add_network(): {}}
    parts: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
        ("web", f"{own}/web:2.4", 3, {"Cmd": serve(LOGS["web"]), "Healthcheck": HEALTHY}),
        ("api", f"{own}/api:2.4", 2, {"Cmd": serve(LOGS["api"]), "Env": ["LOG_LEVEL=info", "PAYMENT_TOKEN=not-a-real-one"]}),
        ("worker", f"{own}/worker:2.4", 2, {"Cmd": serve(LOGS["worker"])}),
        ("db", "postgres:16", 1, {"Cmd": serve()}),
        ("cache", "redis:7", 1, {"Cmd": serve()}),
    )
    for service, image, count, config in parts:
        make_image(api, image, **config)
        if image.startswith(own):
            registry.push(api, f"shop/{service}", image, "2.4")
        for number in range(1, count + 1):
            shop.add(service, image, number, networks=network, labels=QUICK)
    start_project(api, "blog", {"web": "blog/ghost:5.82", "db": "mysql:8.4"}, QUICK)
    start_project(api, "metrics", {"prometheus": "prom/prometheus:v2.53", "grafana": "grafana/grafana:11.1"}, SLOW)
    make_image(api, "search/indexer:1.9", Cmd=serve(), Healthcheck=UNHEALTHY)
    Project(api, "search").add("indexer", "search/indexer:1.9", labels=QUICK)
    make_image(api, "acme/backup:3", Cmd=serve())
    create_container(api, "backup", "acme/backup:3", labels=QUICK, start=False)
    make_image(api, "acme/postfix:3.9", Cmd=serve())
    ports = {"PortBindings": {"25/tcp": [{"HostPort": "2525"}]}}
    create_container(api, "mail-relay", "acme/postfix:3.9", labels=QUICK, HostConfig=ports)


def start_project(api: docker.APIClient, name: str, images: dict[str, str], labels: dict[str, str]) -> None:
    project = Project(api, name)
    for service, image in images.items():
        make_image(api, image, Cmd=serve())
        project.add(service, image, labels=labels)


def start_stack(swarm: PrivateSwarm) -> None:
    update = {"parallelism": 1, "monitor": "1s", "failure_action": "rollback"}
    services = {
        name: {
            "image": swarm.publish(f"checkout/{name}", "5.1", Cmd=serve()),
            "deploy": {"replicas": count, "update_config": update},
        }
        for name, count in (("gateway", 3), ("payments", 2))
    }
    swarm.deploy_stack("checkout", {"services": services})


def make_calls(demo: Demo) -> None:
    """Make calls of every kind: succeeded, clamped, coalesced, rolled back, failed, rejected, and one that still runs."""
    jenkins, alertmanager, actions, curl = "Jenkins/2.462", "Alertmanager/0.27.0", "GitHub-Actions", "curl/8.9.1"
    deploy = demo.create_trigger("shop", "redeploy", "Jenkins, after docker push", "web")
    scale = demo.create_trigger("shop", "scaling", "Alertmanager: slow orders", "api", min_replicas=2, max_replicas=6)
    demo.create_trigger("shop", "scaling", "Sale weekends", "web", min_replicas=3, max_replicas=12, cooldown_seconds=300)
    blog = demo.create_trigger("blog", "redeploy", "GitHub Actions")
    mail = demo.create_trigger("mail-relay", "scaling", "Night shift", "mail-relay")
    metrics = demo.create_trigger("metrics", "redeploy", "Nightly")
    checkout = demo.create_trigger("checkout", "redeploy", "GitLab CI")

    push_release(demo, "2.4.1")
    make_image(demo.api, "blog/ghost:5.82", Cmd=CRASH)
    answers = [demo.call(deploy, jenkins), demo.call(deploy, jenkins), demo.call(deploy, curl)]
    answers += [demo.call(blog, actions), demo.call(mail, curl, type="scale_out", step=1), demo.call(checkout, "GitLab-CI")]
    for answer in answers:
        demo.finish(answer)
    for step in (2, 4):
        demo.finish(demo.call(scale, alertmanager, type="scale_out", step=step))
    demo.finish(demo.call(scale, alertmanager, type="scale_in", step=3))
    demo.console.request("PATCH", f"/api/v1/triggers/{mail['id']}/", {"enabled": False})
    demo.call(mail, curl, type="scale_out", step=1)
    demo.finish(demo.call(deploy, jenkins))
    follow_pushes(demo)
    demo.call(metrics, "cron")


def push_release(demo: Demo, version: str, tag: str = "2.4") -> None:
    """Push a new image of the shop's web to the registry, without changing the engine's image."""
    make_image(demo.api, "next:1", Cmd=serve(LOGS["web"]), Healthcheck=HEALTHY, Env=[f"RELEASE={version}"])
    demo.registry.push(demo.api, "shop/web", "next:1", tag)


def follow_pushes(demo: Demo) -> None:
    """Send a push that leads to a redeploy, and two that do not."""
    repository = f"{demo.registry.host}/shop/web"
    trigger = demo.create_trigger("shop", "redeploy", "New images", subscriptions=[{"repository": repository}])
    push_release(demo, "2.5.0-rc1", "2.5-rc")
    push_release(demo, "2.4.2")
    path = f"/api/v1/calls/?trigger={trigger['id']}&limit=1"

    def has_ended() -> bool:
        return any(call["state"] == "succeeded" for call in demo.console.request("GET", path)[1]["results"])

    eventually(has_ended, within=CALL_LIMIT, what="the pushed image runs")
    demo.registry.push(demo.api, "shop/tools", "next:1", "1")
