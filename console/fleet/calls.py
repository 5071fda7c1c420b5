"""Calls of ninety days, most of them recent, with everything that is kept of a call."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, islice
from typing import Any
from uuid import UUID

from clusters.engine.snapshot import ServiceSnapshot, Snapshot
from clusters.models import Application
from console.fleet.people import People
from console.fleet.rows import RowWriter, list_ages, split
from triggers.models import ACTIVE_STATES, Action, CallState, Trigger, TriggerCall, TriggerCallEvent
from triggers.reasons import Reason

RUNNING, LIVE = 10, 130  # the most calls that run, and the most that run or wait
STATES = {  # of ended calls, in per cent
    CallState.SUCCEEDED: 85,
    CallState.FAILED: 4,
    CallState.ROLLED_BACK: 2,
    CallState.COALESCED: 6,
    CallState.REJECTED: 3,
}
SOURCES = {"hook": 80, "registry": 8, "console": 6, "api": 4, "poll": 2}  # in per cent
WORDS = {
    CallState.SUCCEEDED: ("", "All containers run the new image and are healthy."),
    CallState.FAILED: ("pull_failed", "The image cannot be pulled: manifest unknown. Nothing was changed."),
    CallState.ROLLED_BACK: ("unhealthy", "The new container was unhealthy after 30 s. The previous one is running again."),
    CallState.COALESCED: ("", "An equal redeploy is already waiting; its outcome is this call's outcome."),
    CallState.REJECTED: (Reason.COOLDOWN, "This trigger is cooling down; it accepts the next call in 40 s."),
}
OPERATIONS = ("observe", "pull", "create", "start", "watch", "stop", "remove", "finish")
AGENTS = ("curl/8.5.0", "Jenkins/2.452", "Alertmanager/0.27.0", "GitHub-Hookshot/ab12cd3", "python-requests/2.32.3")


@dataclass(frozen=True)
class CallTemplate:
    """The values that a trigger's calls have in common, with JSON in the form that the database takes."""

    trigger: int
    application: int
    service: int | None
    action: str
    can_run: bool
    plan: str
    before: Any
    after: Any


class Calls:
    """Writes calls in the order of time. The newest `with_events` have events. A few triggers are called often, most rarely."""

    def __init__(self, people: People, count: int, with_events: int) -> None:
        self.random, self.now, self.users = people.random, people.now, people.users
        self.count, self.with_events = count, min(with_events, count)
        self._writer = RowWriter(TriggerCall)
        self._templates = self._list_templates()
        self._covering: dict[int, UUID] = {}  # the newest redeploy, by application
        self._running: set[int] = set()  # applications

    def add(self) -> None:
        if not self._templates:
            return
        events = RowWriter(TriggerCallEvent)
        calls = self._describe_all()
        self._writer.write(islice(calls, self.count - self.with_events))
        for chunk in split(calls, 2000):
            self._writer.write(chunk)
            events.write(event for call in chunk for event in self._describe_events(call))

    def _list_templates(self) -> list[CallTemplate]:
        triggers = Trigger.objects.select_related("application", "service").defer("secret").order_by("pk")
        templates = [self._make_template(trigger) for trigger in triggers]
        self.random.shuffle(templates)
        return templates

    def _make_template(self, trigger: Trigger) -> CallTemplate:
        services = [trigger.service] if trigger.service else list(trigger.application.services.all()[:3])
        names = [service.name for service in services]
        plan = "\n".join(f"{operation} {name}" for name in names for operation in OPERATIONS[1:7])

        def snapshot(digest: str) -> Any:
            image_id = f"sha256:{digest}"
            seen = {
                service.name: ServiceSnapshot(service.running, image=service.image, images={image_id: service.running})
                for service in services
            }
            return self._writer.prepare("before", Snapshot(seen).to_json())

        return CallTemplate(
            trigger=trigger.pk,
            application=trigger.application_id,
            service=trigger.service_id,
            action=trigger.action,
            can_run=trigger.application.status != Application.Status.ABSENT,
            plan=plan,
            before=snapshot(f"{self.random.getrandbits(256):064x}"),
            after=snapshot(f"{self.random.getrandbits(256):064x}"),
        )

    def _describe_all(self) -> Iterator[dict[str, Any]]:
        weights = list(accumulate(1 / (place + 5) for place in range(len(self._templates))))
        live_from = self.count - min(LIVE, self.count // 10)
        for number, age in enumerate(list_ages(self.random, self.count)):
            template = self.random.choices(self._templates, cum_weights=weights)[0]
            call = self._describe_request(template, self.now - timedelta(seconds=age))
            ends = number < live_from or not template.can_run
            yield call | (self._describe_end(call, template) if ends else self._describe_life(call, template))

    def _describe_request(self, template: CallTemplate, queued_at: datetime) -> dict[str, Any]:
        random, source = self.random, self.random.choices(list(SOURCES), list(SOURCES.values()))[0]
        call_id = UUID(int=random.getrandbits(128), version=4)
        by_person = source in ("console", "api")
        return {
            "id": call_id,
            "trigger_id": template.trigger if source == "hook" else None,
            "application_id": template.application,
            "service_id": template.service,
            "action": template.action,
            "source": source,
            "step": random.choice((1, 2, 5, -1)) if template.action == Action.SCALING else None,
            "requested_by_id": random.choice(self.users).pk if by_person else None,
            "source_address": f"203.0.113.{random.randrange(1, 255)}",
            "user_agent": random.choice(AGENTS),
            "delivery_id": call_id.hex if source == "hook" and random.random() < 0.3 else "",
            "queued_at": queued_at,
        }

    def _describe_end(self, call: dict[str, Any], template: CallTemplate) -> dict[str, Any]:
        """Return the values of an ended call. Only redeploys are coalesced."""
        state = self.random.choices(list(STATES), list(STATES.values()))[0]
        queued_at, application = call["queued_at"], template.application
        covering = self._covering.get(application) if template.action == Action.REDEPLOY else None
        if state == CallState.COALESCED and not covering:
            state = CallState.SUCCEEDED
        reason, message = WORDS[state]
        ended = {"state": state, "reason": reason, "message": message}
        if state in (CallState.COALESCED, CallState.REJECTED):
            return ended | {
                "completed_at": queued_at,
                "coalesced_into_id": covering if state == CallState.COALESCED else None,
            }
        if template.action == Action.REDEPLOY:
            self._covering[application] = call["id"]
        started_at = queued_at + timedelta(seconds=self.random.random() * 20)
        completed_at = started_at + timedelta(seconds=self.random.random() * 120)
        return ended | {
            "started_at": min(started_at, self.now),
            "completed_at": min(completed_at, self.now),
            "attempts": 1,
            "plan": template.plan,
            "before": template.before,
            "after": template.after if state == CallState.SUCCEEDED else template.before,
        }

    def _describe_life(self, call: dict[str, Any], template: CallTemplate) -> dict[str, Any]:
        if template.application in self._running or len(self._running) >= RUNNING:
            return {"state": CallState.QUEUED}
        self._running.add(template.application)
        return {
            "state": CallState.RUNNING,
            "started_at": call["queued_at"],
            "attempts": 1,
            "lease_owner": "made-up:1",
            "lease_expires_at": self.now + timedelta(minutes=1),
            "plan": template.plan,
            "before": template.before,
        }

    def _describe_events(self, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not call.get("started_at"):
            return
        operations = OPERATIONS[:4] if call["state"] in ACTIVE_STATES else OPERATIONS
        length = (call.get("completed_at", self.now) - call["started_at"]) / len(operations)
        for number, operation in enumerate(operations):
            broken = operation == "watch" and call["state"] in (CallState.FAILED, CallState.ROLLED_BACK)
            yield {
                "call_id": call["id"],
                "time": call["started_at"] + number * length,
                "level": "error" if broken else "info",
                "operation": operation,
                "text": f"{operation} of step {number + 1}" + (": it is unhealthy" if broken else ""),
            }
