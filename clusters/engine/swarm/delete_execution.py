"""Execute a delete: what no longer exists is not an error, and what is in use elsewhere is kept."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from clusters.engine.driver import Check, Outcome, Report
from clusters.engine.errors import EngineError, EngineRefused, EngineUnreachable, TargetMissing
from clusters.engine.swarm.follower import POLL_SECONDS
from clusters.engine.swarm.manager import SwarmManager
from clusters.engine.swarm.objects import LIVE_STATES, SwarmTask
from clusters.engine.swarm.observed import StackObject, list_swarm_nodes
from clusters.engine.swarm.plan import AwaitEnd, RemoveService, RemoveStackObject, SwarmPlan
from clusters.engine.swarm.task_wording import count_tasks
from clusters.engine.wording import cut, sentence

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

RELEASE_SECONDS = 15.0  # a network is still in use for a moment after its last task has ended


class TasksRemain(EngineError):
    code = "stuck"


class SwarmDeleteExecution:
    def __init__(self, client: "EngineClient", plan: SwarmPlan, report: Report, check: Check) -> None:
        self.plan = plan
        self._manager = SwarmManager(client, report, check)
        self._removed: list[str] = []
        self._kept: list[str] = []

    def run(self) -> Outcome:
        for operation in self.plan.operations:
            try:
                self._manager.check()
                self._manager.report("info", operation.word, operation.describe())
                match operation:
                    case RemoveService():
                        self._remove_service(operation)
                    case AwaitEnd():
                        self._await_end(operation)
                    case RemoveStackObject():
                        self._remove_stack_object(operation.stack_object)
            except EngineUnreachable:
                raise
            except EngineError as error:
                return Outcome("failed", error.code, f"{sentence(cut(error.message))} {self._describe_removed()}")
        return Outcome(
            "succeeded", "", " ".join([f"{self.plan.subject} was deleted. Volumes and images are kept.", *self._kept])
        )

    def _remove_service(self, operation: RemoveService) -> None:
        with suppress(TargetMissing):
            self._manager.ask(lambda: self._manager.client.remove_service(operation.service))
        self._removed.append(operation.full_name)

    def _await_end(self, operation: AwaitEnd) -> None:
        """Raises TasksRemain."""
        seen, changed_at = None, self._manager.now()
        while tasks := self._manager.ask(lambda: self._read_live_tasks(operation)):
            now = self._manager.now()
            if (fingerprint := sorted((task.id, task.state) for task in tasks)) != seen:
                seen, changed_at = fingerprint, now
            if now - changed_at > operation.silent:
                still = f"{count_tasks(len(tasks))} of {operation.subject} still {'runs' if len(tasks) == 1 else 'run'}"
                raise TasksRemain(f"{still} {operation.silent:.0f} s after the service was removed")
            self._manager.sleep(POLL_SECONDS)

    def _read_live_tasks(self, operation: AwaitEnd) -> list[SwarmTask]:
        """Return only tasks on nodes that are not down: on the others, the reported state of a task no longer changes."""
        found = [SwarmTask(entry) for entry in self._manager.client.list_tasks(dict(operation.filters))]
        live = [task for task in found if task.service_id in operation.services and task.state in LIVE_STATES]
        nodes = list_swarm_nodes(self._manager.client) if live else {}
        return [task for task in live if not (task.node_id in nodes and nodes[task.node_id].is_down)]

    def _remove_stack_object(self, found: StackObject) -> None:
        """Remove it, or keep it if it is in use. A network's last tasks have RELEASE_SECONDS to release it."""
        remove = self._choose_removal(found)
        give_up_at = self._manager.now() + (RELEASE_SECONDS if found.kind == "network" else 0.0)
        while True:
            try:
                self._manager.ask(lambda: remove(found.id))
                return
            except TargetMissing:
                return
            except EngineRefused as error:
                if self._manager.now() >= give_up_at:
                    self._kept.append(f"The {found.kind} {cut(found.name)} is kept: it is in use.")
                    self._manager.report("warning", "remove", f"the {found.kind} {found.name} is kept: {cut(error.message)}")
                    return
            self._manager.sleep(POLL_SECONDS)

    def _choose_removal(self, found: StackObject) -> Callable[[str], None]:
        client = self._manager.client
        return {"network": client.remove_network, "config": client.remove_config, "secret": client.remove_secret}[found.kind]

    def _describe_removed(self) -> str:
        if not self._removed:
            return "Nothing was removed."
        return f"Removed so far: {cut(', '.join(self._removed))}."
