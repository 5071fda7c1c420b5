"""FakeSwarm's orchestrator: keeps the wanted number of tasks, and rolls updates out and back."""

import itertools
from typing import Literal

from clusters.engine.fakes.fake_containers import Json
from clusters.engine.fakes.fake_services import ENDED, FakeService, FakeTask
from clusters.engine.fakes.fake_tasks import FakeTasks

HOLD = 2  # steps that a restart delay or a monitor period takes
UPDATE_DEFAULTS: Json = {"Parallelism": 1, "FailureAction": "pause", "MaxFailureRatio": 0, "Order": "stop-first"}


class FakeOrchestrator(FakeTasks):
    """Reconciles and updates the services, a step at a time."""

    def step(self) -> None:
        for service in list(self.services.values()):
            self._replace_lost(service)
            self._reconcile(service)
            self._roll(service)
        for task in self.tasks:
            self._advance(task)
        self.tasks = [task for task in self.tasks if not (task.desired == "remove" and task.has_ended)]

    def _replace_lost(self, service: FakeService) -> None:
        """Replace tasks that ended by themselves or lost their node, as the restart policy says."""
        for task in self.tasks_of(service.id):
            if task.desired not in ("ready", "running", "complete") or (service.is_job and task.state == "complete"):
                continue
            if not (task.has_ended or self._has_lost_node(task)):
                continue
            self._change(task, desired="shutdown")
            if self._may_restart(service, task):
                successor = self._add_task(service, task.slot, "ready", hold=HOLD)
                if service.mode.startswith("Global"):
                    successor.node_id = task.node_id

    def _may_restart(self, service: FakeService, task: FakeTask) -> bool:
        policy = service.spec["TaskTemplate"].get("RestartPolicy") or {}
        condition = policy.get("Condition") or "any"
        if condition == "none" or (condition == "on-failure" and task.state == "complete"):
            return False
        if service.mode.startswith("Global") and self._has_lost_node(task):
            return False
        alike = [other for other in self.tasks_of(service.id) if other.slot == task.slot and other.spec == task.spec]
        return not policy.get("MaxAttempts") or len(alike) <= policy["MaxAttempts"]

    def _reconcile(self, service: FakeService) -> None:
        if service.mode == "Replicated":
            self._reconcile_replicas(service, service.spec["Mode"]["Replicated"].get("Replicas") or 0)
        elif service.mode.startswith("Global"):
            self._reconcile_nodes(service)
        else:
            self._reconcile_completions(service)

    def _reconcile_replicas(self, service: FakeService, wanted: int) -> None:
        live = self._live(service)
        given_up = {task.slot for task in self.tasks_of(service.id) if task.desired == "shutdown" and task.state in ENDED}
        slots = {task.slot for task in live}
        given_up -= slots
        if not self._restarts_always(service):
            slots |= given_up
        free = (slot for slot in itertools.count(1) if slot not in slots)
        for slot in itertools.islice(free, max(wanted - len(slots), 0)):
            self._add_task(service, slot, "running")
        running = {task.slot for task in live if task.state == "running"}
        keep = sorted({task.slot for task in live}, key=lambda slot: (slot not in running, slot))[:wanted]
        for task in live:
            if task.slot not in keep:
                self._change(task, desired="remove")
        if len(slots) > wanted:
            for task in self.tasks_of(service.id):
                if task.slot not in keep and task.desired == "shutdown":
                    self._change(task, desired="remove")

    def _restarts_always(self, service: FakeService) -> bool:
        policy = service.spec["TaskTemplate"].get("RestartPolicy") or {}
        return (policy.get("Condition") or "any") == "any" and not policy.get("MaxAttempts")

    def _reconcile_nodes(self, service: FakeService) -> None:
        present = {task.node_id for task in self.tasks_of(service.id) if self._counts(service, task)}
        for node_id, node in self.nodes.items():
            usable = node["Status"]["State"] == "ready" and node["Spec"]["Availability"] == "active"
            if usable and node_id not in present and not self._misses_constraint(service.spec["TaskTemplate"], node):
                self._add_task(service, 0, "complete" if service.is_job else "running").node_id = node_id

    def _reconcile_completions(self, service: FakeService) -> None:
        wanted = service.spec["Mode"][service.mode]
        total = wanted.get("TotalCompletions") or wanted.get("MaxConcurrent") or 1
        own = [task for task in self.tasks_of(service.id) if self._counts(service, task)]
        slots = {task.slot for task in own}
        room = (wanted.get("MaxConcurrent") or 1) - len([task for task in own if not task.has_ended])
        for slot in [slot for slot in range(total) if slot not in slots][: max(room, 0)]:
            self._add_task(service, slot, "complete")

    def _counts(self, service: FakeService, task: FakeTask) -> bool:
        """Return whether the task fills its place: it is live, has done its job, or was given up."""
        if service.is_job and task.iteration != service.iteration:
            return False
        return task.is_live or task.state in ("complete", "failed", "rejected")

    def _start_iteration(self, service: FakeService) -> None:
        service.iteration += 1
        for task in self._live(service):
            self._change(task, desired="remove")

    # The rollout

    def _restart_rollout(self, service: FakeService) -> None:
        service.rolled, service.failures, service.monitored = [], set(), 0
        service.total = max(len(self._dirty(service)), 1)

    def _dirty(self, service: FakeService) -> list[FakeTask]:
        """Return the live tasks of another spec that have no successor yet."""
        live, template = self._live(service), service.spec["TaskTemplate"]
        old = [task for task in live if task.spec_version != service.spec_version and task.spec != template]
        taken = {task.place for task in live if task not in old}
        return [task for task in old if task.place not in taken]

    def _roll(self, service: FakeService) -> None:
        state = (service.status or {}).get("State")
        dirty = [] if service.is_job else self._dirty(service)
        if state is None and dirty:
            service.status = {"State": "updating", "StartedAt": self._now(), "Message": "update in progress"}
            service.total = len(dirty)
            self._touch(service)
        if service.status is None or service.status["State"] not in ("updating", "rollback_started"):
            return
        if self._act_on_failure(service):
            return
        config = self._read_config(service)
        # This includes a task on a lost node, which will never run: Swarm waits for it until the spec changes.
        pending = [task for task in service.rolled if task.state != "running" and not task.has_ended]
        room = (config["Parallelism"] or len(dirty)) - len(pending)
        for task in dirty[: max(room, 0)]:
            service.rolled.append(self._succeed(service, task, config["Order"]))
        if not dirty and not pending:
            service.monitored += 1
            if service.monitored > HOLD or not service.rolled:
                self._end_rollout(service, "completed")

    def _read_config(self, service: FakeService) -> Json:
        is_rollback = service.status is not None and service.status["State"].startswith("rollback")
        return {**UPDATE_DEFAULTS, **(service.spec.get("RollbackConfig" if is_rollback else "UpdateConfig") or {})}

    def _succeed(self, service: FakeService, task: FakeTask, order: str) -> FakeTask:
        if order == "start-first":
            successor = self._add_task(service, task.slot, "running")
        else:
            self._change(task, desired="shutdown")
            successor = self._add_task(service, task.slot, "ready")
            successor.waits_for = task
        if service.mode == "Global":
            successor.node_id = task.node_id
        return successor

    def _act_on_failure(self, service: FakeService) -> bool:
        """Roll back or pause after a failure. Return whether that happened."""
        config = self._read_config(service)
        for task in service.rolled:
            ended_by_itself = task.state in ("failed", "rejected", "complete")
            if config["FailureAction"] == "continue" or not ended_by_itself or task.id in service.failures:
                continue
            service.failures.add(task.id)
            if len(service.failures) / service.total > (config["MaxFailureRatio"] or 0):
                self._end_failed_rollout(service, task, config["FailureAction"])
                return True
        return False

    def _end_failed_rollout(self, service: FakeService, task: FakeTask, action: str) -> None:
        assert service.status
        is_rollback = service.status["State"] == "rollback_started"
        if action == "rollback" and not is_rollback and service.previous is not None:
            service.spec, service.spec_version, service.previous = service.previous, service.previous_version, None
            service.status["State"] = "rollback_started"
            service.status["Message"] = f"update rolled back due to failure or early termination of task {task.id}"
            self._restart_rollout(service)
            self._touch(service)
            return
        word = "rollback" if action == "rollback" else "update"
        self._end_rollout(service, "paused", f"{word} paused due to failure or early termination of task {task.id}")

    def _end_rollout(self, service: FakeService, end: Literal["completed", "paused"], message: str = "") -> None:
        assert service.status
        is_rollback = service.status["State"] == "rollback_started"
        service.status["State"] = f"rollback_{end}" if is_rollback else end
        service.status["Message"] = message or ("rollback completed" if is_rollback else "update completed")
        if end == "completed":
            service.status["CompletedAt"] = self._now()
        self._touch(service)
