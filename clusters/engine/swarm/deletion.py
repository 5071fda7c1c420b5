"""Carries out the plan of a delete on a Swarm: what is gone already is no error, and what is in use elsewhere stays."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from clusters.engine.driver import Check, Outcome, Report, ignore_progress
from clusters.engine.errors import EngineError, EngineRefused, EngineUnreachable, TargetMissing
from clusters.engine.swarm.follow import POLL_SECONDS, Follower
from clusters.engine.swarm.observed import LIVE_STATES, Task, list_nodes
from clusters.engine.swarm.plan import AwaitEnd, RemoveBelonging, RemoveService, SwarmPlan
from clusters.engine.swarm.wording import count_tasks
from clusters.engine.wording import cut, sentence

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

RELEASE_SECONDS = 15.0  # a network is in use for a moment after its last task has ended


class TasksRemain(EngineError):
    code = "stuck"


def execute_deletion(client: "EngineClient", plan: SwarmPlan, report: Report, check: Check) -> Outcome:
    return Deletion(client, plan, report, check).run()


class Deletion:
    def __init__(self, client: "EngineClient", plan: SwarmPlan, report: Report, check: Check) -> None:
        self._client, self.plan, self._report, self._check = client, plan, report, check
        self._follower = Follower(client, report, check, ignore_progress, lambda run: None, lambda run: None)
        self._removed: list[str] = []
        self._kept: list[str] = []

    def run(self) -> Outcome:
        for operation in self.plan.operations:
            try:
                self._check()
                self._report("info", operation.word, operation.describe())
                match operation:
                    case RemoveService():
                        self._remove_service(operation)
                    case AwaitEnd():
                        self._await_end(operation)
                    case RemoveBelonging():
                        self._remove_belonging(operation)
            except EngineUnreachable:
                raise
            except EngineError as error:
                return Outcome("failed", error.code, f"{sentence(cut(error.message))} {self._describe_removed()}")
        return Outcome("succeeded", "", " ".join([f"{self.plan.subject} is deleted. Volumes and images stay.", *self._kept]))

    def _remove_service(self, operation: RemoveService) -> None:
        with suppress(TargetMissing):
            self._follower.ask(lambda: self._client.remove_service(operation.service))
        self._removed.append(operation.full_name)

    def _await_end(self, operation: AwaitEnd) -> None:
        """Raises TasksRemain."""
        seen, changed_at = None, time.monotonic()
        while tasks := self._follower.ask(lambda: self._read_live_tasks(operation)):
            now = time.monotonic()
            if (fingerprint := sorted((task.id, task.state) for task in tasks)) != seen:
                seen, changed_at = fingerprint, now
            if now - changed_at > operation.silent:
                still = f"{count_tasks(len(tasks))} of {operation.subject} still {'runs' if len(tasks) == 1 else 'run'}"
                raise TasksRemain(f"{still} {operation.silent:.0f} s after the service was removed")
            self._follower.sleep(POLL_SECONDS)

    def _read_live_tasks(self, operation: AwaitEnd) -> list[Task]:
        """On nodes that can be heard: what is said of a task on another one does not change any more."""
        found = [Task(entry) for entry in self._client.list_tasks(dict(operation.filters))]
        live = [task for task in found if task.service_id in operation.services and task.state in LIVE_STATES]
        nodes = list_nodes(self._client) if live else {}
        return [task for task in live if not (task.node_id in nodes and nodes[task.node_id].is_down)]

    def _remove_belonging(self, operation: RemoveBelonging) -> None:
        belonging = operation.belonging
        remove = {
            "network": self._client.remove_network,
            "config": self._client.remove_config,
            "secret": self._client.remove_secret,
        }[belonging.kind]
        give_up_at = time.monotonic() + (RELEASE_SECONDS if belonging.kind == "network" else 0.0)
        while True:
            try:
                self._follower.ask(lambda: remove(belonging.id))
                return
            except TargetMissing:
                return
            except EngineRefused as error:
                if time.monotonic() >= give_up_at:
                    self._kept.append(f"The {belonging.kind} {cut(belonging.name)} stays: it is in use.")
                    self._report("warning", "remove", f"the {belonging.kind} {belonging.name} stays: {cut(error.message)}")
                    return
            self._follower.sleep(POLL_SECONDS)

    def _describe_removed(self) -> str:
        if not self._removed:
            return "Nothing was removed."
        return f"Removed so far: {cut(', '.join(self._removed))}."
