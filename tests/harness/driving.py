"""Runs a call without the queue: observes, plans and executes through the driver, as the runner does."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.credentials import CredentialSource, config_credentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.driver import FIRST_ATTEMPT, Act, Driver, Intent, Observation, Outcome, Plan, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineUnreachable
from clusters.engine.evidence import Evidence
from clusters.engine.snapshot import Snapshot
from tests.harness.engine import PrivateEngine
from tests.harness.swarm import PrivateSwarm


@dataclass
class Drive:
    """What came of it: the plan's text, the events as (level, operation, text), the progress as (service, done, wanted),
    the evidence that was kept, the outcome.
    """

    plan: str = ""
    events: list[tuple[str, str, str]] = field(default_factory=list)
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    outcome: Outcome | None = None

    def report(self, level: str, operation: str, text: str) -> None:
        self.events.append((level, operation, text))

    def note_progress(self, service: str, done: int, wanted: int) -> None:
        self.progress.append((service, done, wanted))

    @property
    def state(self) -> str:
        return self.outcome.state if self.outcome else ""

    def texts(self, level: str) -> list[str]:
        return [text for event_level, _, text in self.events if event_level == level]


class Overdue(Exception):
    """The call ran longer than its limit."""


def no_check() -> None:
    """A call that is never interrupted."""


def observe(client: Any, application: str = "shop", service: str = "", source: str = "compose") -> Observation:
    return driver_for(source).observe(client, Target(application, source, service))


def execute(client: Any, plan: Plan, source: str, check: Callable[[], None]) -> Drive:
    drive = Drive(plan=plan.as_text())
    drive.outcome = driver_for(source).execute(client, plan, drive.report, check, drive.note_progress, drive.evidence.append)
    return drive


def store_and_load(snapshot: Snapshot) -> Snapshot | None:
    """Return the snapshot as the runner gets it from the database."""
    return Snapshot.from_json(json.loads(json.dumps(snapshot.to_json())))


def run_patiently(
    endpoint: EngineEndpoint,
    make_plan: Callable[[Driver, Observation, Intent], Plan],
    target: Target,
    limit: float,
    on_failure: Literal["rollback", "pause"] = "rollback",
) -> Drive:
    """As the runner takes a call through an engine's absence: it connects, observes and plans again, and knows what was before.

    Raises Overdue after `limit` seconds.
    """
    ends = time.monotonic() + limit
    before: Snapshot | None = None

    def check() -> None:
        if time.monotonic() > ends:
            raise Overdue(f"not at an end within {limit:g} s")

    driver = driver_for(target.source)
    while True:
        check()
        try:
            with EngineClient(endpoint) as client:
                observation = driver.observe(client, target)
                before = before or store_and_load(observation.snapshot())
                plan = make_plan(driver, observation, Intent(on_failure, before))
                if plan.is_empty():
                    return Drive(plan.as_text(), outcome=Outcome("succeeded", "unchanged"))
                return execute(client, plan, target.source, check)
        except EngineUnreachable:
            time.sleep(0.5)


def redeploy_patiently(endpoint: EngineEndpoint, target: Target, limit: float) -> Drive:
    return run_patiently(endpoint, lambda driver, seen, intent: driver.plan_redeploy(seen, intent), target, limit)


def scale_patiently(endpoint: EngineEndpoint, target: Target, replicas: int, limit: float) -> Drive:
    return run_patiently(
        endpoint, lambda driver, seen, intent: driver.plan_scale(seen, target.service, replicas, intent), target, limit
    )


def redeploy_with(
    client: Any,
    application: str = "shop",
    service: str = "",
    source: str = "compose",
    check: Callable[[], None] = no_check,
    intent: Intent = FIRST_ATTEMPT,
) -> Drive:
    plan = driver_for(source).plan_redeploy(observe(client, application, service, source), intent)
    return execute(client, plan, source, check)


def scale_with(
    client: Any,
    replicas: int,
    application: str = "shop",
    service: str = "web",
    source: str = "compose",
    check: Callable[[], None] = no_check,
    intent: Intent = FIRST_ATTEMPT,
) -> Drive:
    plan = driver_for(source).plan_scale(observe(client, application, service, source), service, replicas, intent)
    return execute(client, plan, source, check)


def redeploy(
    engine: PrivateEngine | PrivateSwarm,
    application: str = "shop",
    service: str = "",
    source: str = "compose",
    intent: Intent = FIRST_ATTEMPT,
    credentials: CredentialSource = config_credentials,
) -> Drive:
    with EngineClient(engine.endpoint, credentials=credentials) as client:
        return redeploy_with(client, application, service, source, intent=intent)


def scale(
    engine: PrivateEngine | PrivateSwarm,
    replicas: int,
    application: str = "shop",
    service: str = "web",
    source: str = "compose",
    intent: Intent = FIRST_ATTEMPT,
) -> Drive:
    with EngineClient(engine.endpoint) as client:
        return scale_with(client, replicas, application, service, source, intent=intent)


def act(
    engine: PrivateEngine | PrivateSwarm,
    word: Act,
    application: str = "shop",
    container: str = "",
    source: str = "compose",
    before: Mapping[str, Any] | None = None,
) -> Drive:
    """Stop, start, restart or delete an application or a container."""
    driver = driver_for(source)
    with EngineClient(engine.endpoint) as client:
        observation = driver.observe_remains(client, Target(application, source))
        before = before or store_and_load(observation.snapshot())
        plan = driver.plan_act(observation, word, container, Intent(before=before))
        return execute(client, plan, source, no_check)
