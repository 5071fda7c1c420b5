"""Execute plans on the engine in memory."""

import json

from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.fakes.fake_engine import RUNS, FakeEngine
from clusters.engine.snapshot import Snapshot

LABELS = {"com.docker.stack.namespace": "shop", "windlass.update.monitor": "0s"}
STACK = Target("shop", "stack")
WEB = Target("shop", "stack", "web")


class Drive:
    def __init__(self, outcome, events, progress, evidence):
        self.outcome, self.events, self.progress, self.evidence = outcome, events, progress, evidence


def add_service(engine, name, *, image="", labels=None, replicas=2, mode=None, **config):
    digest = engine.digest_of(engine.registry[f"{name}:1"])
    template = {"ContainerSpec": {"Image": image or f"{name}:1@{digest}"}}
    spec = {
        "Name": f"shop_{name}",
        "Labels": {**LABELS, **(labels or {})},
        "TaskTemplate": template,
        "Mode": mode or {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Order": "stop-first", **config},
    }
    engine.swarm.create_service(spec)


def make_fake(**labels):
    """Return an engine with a stack of `api` and `web`, whose images are in the registry. `labels` is by service."""
    engine = FakeEngine()
    engine.init_swarm("worker1", "worker2")
    for name in ("api", "web"):
        engine.publish(f"{name}:1", Cmd=RUNS)
        add_service(engine, name, labels=labels.get(name))
    engine.swarm.settle()
    return engine


def make_waves():
    """The update of `web` follows that of `api`."""
    return make_fake(web={"windlass.depends": "api"})


def snapshot(fake, target=STACK):
    return Snapshot.from_json(json.loads(json.dumps(driver_for("stack").observe(fake, target).snapshot().to_json())))


def run(fake, target=STACK, *, replicas=None, intent=None, check=lambda: None):
    driver, events, progress, evidence = driver_for(target.source), [], [], []
    observation, intent = driver.observe(fake, target), intent or Intent()
    plan = (
        driver.plan_redeploy(observation, intent)
        if replicas is None
        else driver.plan_scale(observation, target.service, replicas, intent)
    )
    report, show = (lambda *event: events.append(event)), (lambda *shown: progress.append(shown))
    outcome = driver.execute(fake, plan, report, check, show, evidence.append)
    return Drive(outcome, events, progress, evidence)


def fail(fake, method, error, times=1):
    left = [error] * times

    def refuse(called):
        if called == method and left:
            raise left.pop()

    fake.before_request = refuse


def count(fake, operation):
    return sum(line.startswith(operation) for line in fake.operations)


def force_updates(fake):
    return {service.name: service.spec["TaskTemplate"].get("ForceUpdate", 0) for service in fake.swarm.services.values()}


def images(fake):
    return {service.name: service.spec["TaskTemplate"]["ContainerSpec"]["Image"] for service in fake.swarm.services.values()}


class AtRequest:
    """A check that raises `error` as soon as the engine has received `number` requests."""

    def __init__(self, fake, number, error):
        self.left, self.error, self.is_due = number, error, False
        fake.before_request = self.count

    def count(self, method):
        self.left -= 1
        self.is_due = self.is_due or self.left < 0

    def __call__(self):
        if self.is_due:
            raise self.error
