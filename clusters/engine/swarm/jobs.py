"""Run a job to its end and remove it: a pre-deploy step, or a check of a service."""

from dataclasses import dataclass, field
from typing import Any

from clusters.engine import names
from clusters.engine.errors import Cancelled, EngineError, EngineRefused, EngineUnreachable, TargetMissing
from clusters.engine.evidence import Evidence, EvidenceReader, Keep, make_masker, mask_lines, read_output
from clusters.engine.hooks import HookFailed, describe_answer
from clusters.engine.logs.portions import LogSource
from clusters.engine.swarm import follower
from clusters.engine.swarm.image_references import digest_of, without_digest
from clusters.engine.swarm.manager import SwarmManager
from clusters.engine.swarm.objects import LIVE_STATES, SwarmTask
from clusters.engine.swarm.plan import RunJob
from clusters.engine.swarm.rules import PULL_SECONDS, UNPLACED_SECONDS
from clusters.engine.wording import cut, describe_moment, sentence

ANNOUNCED_SECONDS = 2.0  # after which it is reported what is waited for
OUTPUT_LINES = 20
ADVICE = "Name an image with sh, sleep and either bash or nc by the label windlass.check.image."


@dataclass
class JobRunner:
    """Runs jobs one after another. `keep` receives what a failed step leaves behind."""

    manager: SwarmManager
    keep: Keep
    _evidence: EvidenceReader = field(default_factory=EvidenceReader)

    def run(self, operation: RunJob, image: str) -> None:
        """Return when the job has completed. Raises HookFailed, EngineUnreachable, and what `check` raises.

        It is removed, unless the work stops here: another attempt can follow it, and whoever cancels removes it.
        """
        self.manager.report("info", operation.kind, operation.describe())
        service = ""
        try:
            service = self._start(operation, image)
            answer = self._follow(operation, service)
        except (EngineUnreachable, Cancelled):
            raise
        except EngineError as error:
            self.remove(service or str(operation.spec["Name"]))
            if isinstance(error, HookFailed):
                raise
            raise self._fail(operation, f"could not be run: {error.message}") from error
        if operation.done or answer:
            self.manager.report("info", operation.kind, operation.done or f"{operation.service} passed its check: {answer}")
        self.remove(service)

    def _start(self, operation: RunJob, image: str) -> str:
        """Return the job's id. One that this call has started is followed, one that another call has left is removed."""
        name, call = str(operation.spec["Name"]), operation.spec["Labels"][names.HOOK_CALL_LABEL]
        found = self._find(name)
        if found and call and read_call(found) == call and operation.kind == "predeploy":
            return str(found["ID"])
        if found:
            self.remove(str(found["ID"]))
        spec = dict(operation.spec)
        template = spec["TaskTemplate"]
        spec["TaskTemplate"] = {**template, "ContainerSpec": {**template["ContainerSpec"], "Image": image}}
        try:
            return self.manager.ask(lambda: self.manager.client.create_service(spec))
        except EngineRefused:
            found = self._find(name)  # the answer to an earlier request may have been lost
            if not found or read_call(found) != call:
                raise
            return str(found["ID"])

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            return self.manager.ask(lambda: self.manager.client.inspect_service(name))
        except TargetMissing:
            return None

    def _follow(self, operation: RunJob, service: str) -> str:
        """Return how a check was answered."""
        manager, since, phase, is_announced = self.manager, self.manager.now(), "", False
        while True:
            manager.check()
            task = self._look(service)
            if task and task.state not in LIVE_STATES:
                return self._conclude(operation, task)
            if phase != (phase := find_phase(task)):
                since, is_announced = manager.now(), False
            limit = {"pulls": PULL_SECONDS, "waits": UNPLACED_SECONDS}.get(phase, operation.timeout)
            waited = manager.now() - since
            if waited >= limit:
                raise self._time_out(operation, task, limit)
            if waited >= ANNOUNCED_SECONDS and not is_announced:
                is_announced = True
                what = f"{'the end' if phase == 'runs' else 'the start'} of {operation.what}"
                manager.report("info", "wait", f"Waiting until {describe_moment(limit - waited)} at the latest for {what}.")
            manager.sleep(follower.POLL_SECONDS)

    def _look(self, service: str) -> SwarmTask | None:
        """Return the job's newest task."""
        tasks = [SwarmTask(entry) for entry in self.manager.ask(lambda: self.manager.client.list_tasks({"service": [service]}))]
        return max(tasks, key=lambda task: task.created_at, default=None)

    def _conclude(self, operation: RunJob, task: SwarmTask) -> str:
        if task.state == "complete":
            return describe_answer(operation.check, self._read_lines(task), has_passed=True) if operation.check else ""
        code = f" (exit code {task.exit_code})" if task.exit_code else ""
        self._keep(operation, task, f"it failed{code}")
        error = self._fail(operation, f"failed{code}: {task.error or task.state}")
        raise HookFailed(f"{error.message} {ADVICE}", error.code) if operation.code == "check_impossible" else error

    def _time_out(self, operation: RunJob, task: SwarmTask | None, limit: float) -> HookFailed:
        if operation.check and task and find_phase(task) == "runs":
            answer = describe_answer(operation.check, self._read_lines(task))
            message = f"{operation.service} did not pass its check within {operation.timeout:g} s: {answer}."
            return HookFailed(message, code=operation.code)
        if task:
            self._keep(operation, task, f"it did not end within {limit:g} s")
        state = f": its task is {task.state}{f', {task.error}' if task.error else ''}" if task else ""
        code = "predeploy_timed_out" if operation.done else operation.code
        return self._fail(
            operation, f"did not {'end' if find_phase(task) == 'runs' else 'start'} within {limit:g} s{state}", code
        )

    def _fail(self, operation: RunJob, problem: str, code: str = "") -> HookFailed:
        message = sentence(f"{operation.what[0].upper()}{operation.what[1:]} {cut(problem)}")
        return HookFailed(message, code=code or operation.code)

    def _read_lines(self, task: SwarmTask) -> list[str]:
        reading = read_output(self.manager.client, LogSource("tasks", task.id, "check"))
        return mask_lines(make_masker(()), [raw.text for raw, _ in reading.lines[-OUTPUT_LINES:]])

    def _keep(self, operation: RunJob, task: SwarmTask, cause: str) -> None:
        if operation.kind == "check":
            return
        found = Evidence(
            task.id,
            f"{operation.service}.predeploy",
            service=operation.service,
            image=without_digest(task.image),
            image_id=digest_of(task.image),
            exit_code=task.exit_code,
            cause=f"{operation.what[0].upper()}{operation.what[1:]}: {cause}.",
        )
        environment = (task.spec.get("ContainerSpec") or {}).get("Env") or ()
        silence = "" if task.container_id else "it never ran."
        if evidence := self._evidence.read_task(self.manager.client, found, environment, silence):
            if evidence.first_error:
                self.manager.report("warning", operation.kind, f"{found.name} printed: {evidence.first_error}")
            self.keep(evidence)

    def remove(self, service: str) -> None:
        """Remove the job. If that fails, the next redeploy removes it."""
        try:
            self.manager.client.remove_service(service)
        except TargetMissing:
            return
        except EngineError as error:
            self.manager.report("warning", "remove", f"left for later: the job {service}: {cut(error.message)}")


def find_phase(task: SwarmTask | None) -> str:
    """Return what the task does: it `waits` for a node, its node `pulls` the image, or it `runs`. Each has its own limit."""
    if task is None or task.state in {"new", "pending"}:
        return "waits"
    return "runs" if task.runs else "pulls"


def read_call(service: dict[str, Any]) -> str:
    return str((service["Spec"].get("Labels") or {}).get(names.HOOK_CALL_LABEL) or "")
