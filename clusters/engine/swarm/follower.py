"""Follow services to their ends: look at all of them again and again, in one thread and with a few list requests each time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from clusters.engine.driver import Progress
from clusters.engine.errors import TargetMissing
from clusters.engine.evidence import Evidence, EvidenceReader, Keep
from clusters.engine.swarm.goals import AnyGoal
from clusters.engine.swarm.image_references import digest_of
from clusters.engine.swarm.manager import SwarmManager
from clusters.engine.swarm.objects import SwarmNode, SwarmService, SwarmTask, make_swarm_service
from clusters.engine.swarm.observed import ServiceLook, list_service_tasks, list_swarm_nodes
from clusters.engine.swarm.plan import PlannedService
from clusters.engine.swarm.progress import Judgement, Seen, judge
from clusters.engine.swarm.rules import FollowLimits
from clusters.engine.swarm.task_wording import describe_end, describe_running
from clusters.engine.wording import describe_moment

POLL_SECONDS = 0.2
QUIET_POLL_SECONDS = 0.5  # after nothing has moved for a while
QUIET_AFTER_SECONDS = 15.0
WAKINGS = 3  # of one service's update
CHANGED_BY_OTHERS = {"superseded", "not_found"}


@dataclass
class ServiceRun:
    """A service on its way to a goal.

    `goal` is None until something was sent for it. `code` and `reason` are the first failure that it met. `end` is the last
    judgement once it is final; a new goal clears it, so that the service is followed again.
    """

    planned: PlannedService
    goal: AnyGoal | None = None
    seen: Seen = field(default_factory=Seen)
    look: ServiceLook | None = None
    end: Judgement | None = None
    code: str = ""
    reason: str = ""
    was_touched: bool = False
    is_rolling_back: bool = False
    image_before: str = ""  # in the spec before our update; empty if an earlier attempt sent the update
    stack_image_before: str = ""  # in the stack's label before our update
    wakings: int = 0
    shown: tuple[int, int] | None = None  # the progress that was reported last
    announced_at: float | None = None  # of the last change after which it was reported what is waited for
    previous_force_update: int = field(init=False)  # the ForceUpdate before the update that is followed

    def __post_init__(self) -> None:
        self.previous_force_update = self.planned.previous_force_update

    def aim(self, goal: AnyGoal, is_rollback: bool = False) -> None:
        self.goal, self.seen, self.end = goal, Seen(), None
        self.is_rolling_back = is_rollback

    def fail(self, code: str, reason: str) -> None:
        if not self.code:
            self.code, self.reason = code, reason

    @property
    def has_failed(self) -> bool:
        return bool(self.code)

    @property
    def limits(self) -> FollowLimits:
        return self.goal.limits if self.goal else self.planned.limits

    @property
    def is_changed_by_others(self) -> bool:
        """The service is left as it is: someone else has changed or removed it."""
        return self.code in CHANGED_BY_OTHERS

    @property
    def is_done(self) -> bool:
        """The service has reached its goal, which can be a rollback."""
        return self.end is not None and self.end.state == "done"

    @property
    def is_rolled_back(self) -> bool:
        return self.is_rolling_back and self.is_done


class Follower:
    """Follows services. `on_rollback(run)` is called when Swarm itself has begun to roll a service back, so that it needs
    another goal; `on_hang(run)` when Swarm's updater hangs and must be woken up."""

    def __init__(
        self,
        manager: SwarmManager,
        progress: Progress,
        keep: Keep,
        on_rollback: Callable[[ServiceRun], None],
        on_hang: Callable[[ServiceRun], None],
    ) -> None:
        self._manager, self._progress, self._keep = manager, progress, keep
        self._evidence = EvidenceReader()
        self._on_rollback, self._on_hang = on_rollback, on_hang

    def follow(self, runs: Sequence[ServiceRun], until: Callable[[], bool]) -> None:
        """Return when every run has its end or `until()` is true. Raises EngineUnreachable, and what `check` raises."""
        while True:
            self._manager.check()
            self.look_at(runs)
            waiting = [run for run in runs if run.end is None and run.goal is not None]
            judgements = [self._judge(run) for run in waiting]
            if all(run.end for run in waiting) or until():
                return
            self._pause(waiting, judgements)

    def look_at(self, runs: Sequence[ServiceRun]) -> None:
        names = {run.planned.id: run.planned.name for run in runs}
        asked_at, services, tasks, nodes = self._manager.ask(lambda: self._read(names))
        for run in runs:
            own = tuple(task for task in tasks if task.service_id == run.planned.id)
            run.look = ServiceLook(services.get(run.planned.id), own, nodes, asked_at)

    def _read(
        self, names: Mapping[str, str]
    ) -> tuple[float, dict[str, SwarmService], tuple[SwarmTask, ...], dict[str, SwarmNode]]:
        """Return when the request was sent, the services by id, their tasks, and the nodes. `names` is by service id."""
        client, asked_at = self._manager.client, self._manager.now()
        entries = client.list_services({"id": list(names)})
        services = {entry["ID"]: make_swarm_service(entry, names[entry["ID"]]) for entry in entries if entry["ID"] in names}
        try:
            tasks = list_service_tasks(client, list(services)) if services else ()
        except TargetMissing:  # a service was removed since
            return self._read({found: names[found] for found in services})
        return asked_at, services, tasks, list_swarm_nodes(client)

    def _judge(self, run: ServiceRun) -> Judgement:
        assert run.goal
        assert run.look
        judgement = judge(run.goal, run.seen, run.look, self._manager.now())
        for text in judgement.news:
            self._manager.report("warning", "follow", f"{text}.")
        self._keep_evidence(run.look, run.seen.take_failed())
        if judgement.state in {"moving", "done"} and run.shown != (judgement.done, judgement.wanted):
            run.shown = (judgement.done, judgement.wanted)
            self._progress(run.planned.name, *run.shown)
        if judgement.state == "done":
            run.end = judgement
            self._manager.report("info", "follow", f"{describe_running(run.look)}.")
        elif judgement.state != "moving":
            self._manager.report("error", "follow", judgement.reason)
            run.fail(judgement.code, judgement.reason)
            if judgement.state == "rolling_back":
                self._on_rollback(run)
            else:
                run.end = judgement
        elif judgement.hangs and run.wakings < WAKINGS:
            run.wakings += 1
            self._on_hang(run)
        return judgement

    def _keep_evidence(self, look: ServiceLook, failed: Sequence[SwarmTask]) -> None:
        """Keep what failed tasks leave behind. Swarm removes their containers some time after their successors have begun."""
        for task in failed:
            found = Evidence(
                task.id,
                look.name_task(task),
                service=look.service.name if look.service else "",
                image=task.image.partition("@")[0],
                image_id=digest_of(task.image),
                exit_code=task.exit_code,
                cause=describe_end(look, task),
            )
            environment = (task.spec.get("ContainerSpec") or {}).get("Env") or ()
            silence = "it never ran." if task.state == "rejected" or not task.container_id else ""
            silence = silence if look.is_reachable(task) else "its node is down."
            if evidence := self._evidence.read_task(self._manager.client, found, environment, silence):
                if evidence.first_error:
                    self._manager.report("warning", "follow", f"{look.name_task(task)} printed: {evidence.first_error}")
                self._keep(evidence)

    def _announce(self, run: ServiceRun, now: float) -> None:
        """Report, once after each change, for what is waited and until when."""
        if run.announced_at == run.seen.changed_at:
            return
        run.announced_at = run.seen.changed_at
        done, wanted = run.shown or (0, run.look.service.replicas if run.look and run.look.service else 0)
        until = describe_moment(run.seen.changed_at + run.limits.silent - now)
        text = f"{done} of {wanted} tasks are ready. Without a change the call gives up at {until} at the latest."
        self._manager.report("info", "wait", f"Waiting for {run.planned.full_name}: {text}")

    def _pause(self, waiting: Sequence[ServiceRun], judgements: Sequence[Judgement]) -> None:
        now = self._manager.now()
        is_quiet = all(now - run.seen.changed_at > QUIET_AFTER_SECONDS for run in waiting)
        if is_quiet:
            self._announce(min(waiting, key=lambda run: run.seen.changed_at + run.limits.silent), now)
        settling = [judgement.settles_in for judgement in judgements if judgement.settles_in]
        self._manager.sleep(min([QUIET_POLL_SECONDS if is_quiet else POLL_SECONDS, *settling]))
