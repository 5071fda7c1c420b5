"""A call without the queue: observe, plan and execute through the driver, as the runner does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clusters.engine.client import EngineClient
from clusters.engine.driver import FIRST_ATTEMPT, Intent, Observation, Outcome, Plan, Target
from clusters.engine.drivers import driver_for
from tests.harness.engine import PrivateEngine
from tests.harness.swarm import PrivateSwarm


@dataclass
class Drive:
    """What came of it: the plan's text, the events as (level, operation, text), the progress as (service, done, wanted),
    the outcome.
    """

    plan: str = ""
    events: list[tuple[str, str, str]] = field(default_factory=list)
    progress: list[tuple[str, int, int]] = field(default_factory=list)
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


def no_check() -> None:
    """A call that is never interrupted."""


def observe(client: Any, application: str = "shop", service: str = "", source: str = "compose") -> Observation:
    return driver_for(source).observe(client, Target(application, source, service))


def execute(client: Any, plan: Plan, source: str, check: Callable[[], None]) -> Drive:
    drive = Drive(plan=plan.as_text())
    drive.outcome = driver_for(source).execute(client, plan, drive.report, check, drive.note_progress)
    return drive


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
) -> Drive:
    with EngineClient(engine.endpoint) as client:
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
