"""A worker's way through one call: claim, observe, plan, execute, finish.

While the engine works, the thread holds no database connection (`release_connection`): a worker can have more threads than
connections.
"""

import logging
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import cast

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from clusters.allowances import engine_credentials
from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.driver import ACTS, FIRST_ATTEMPT, Act, Driver, Intent, Observation, Outcome, Plan, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import Cancelled, EngineError, EngineUnreachable, HandOver, PlanRefused
from clusters.engine.evidence import Evidence
from clusters.engine.previous_images import read_previous_images
from clusters.engine.snapshot import Snapshot
from clusters.leases import make_lease_owner
from clusters.waits import release_connection
from triggers.calls import nudges
from triggers.calls.cancel import read_cancellation
from triggers.calls.events import add_event, clean_event_text, read_predeployed
from triggers.calls.evidence import add_first_error, keep_evidence
from triggers.images.history import complete_facts
from triggers.models import TRIGGER_ACTIONS, Action, CallState, OnFailure, TriggerCall
from triggers.pushes.ages import check_age
from triggers.reasons import Reason
from triggers.run.claim import MAXIMUM_ATTEMPTS, claim_call, list_merged_calls
from triggers.run.differences import describe_differences
from triggers.run.lease import WAITS_FOR_ENGINE, CallLease, LeaseLost
from triggers.run.replaced_images import remove_replaced_images
from triggers.run.results import finish_call, hand_over_call, save_progress, save_targets
from triggers.run.scaling import ScalingStep, apply_steps, describe_step
from triggers.run.stop_records import read_stopped
from triggers.run.stopping import stopping
from triggers.run.unchanged import UNCHANGED, describe_crashing

log = structlog.get_logger("windlass.runner")

LOG_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
ENGINE_PATIENCE = 30.0  # seconds for which an unreachable engine is retried before the call fails
ENGINE_REST_SECONDS = 15.0  # between two looks for an engine that a begun call waits for
REPUBLISH_SECONDS = 1.0  # after which a worker that is being stopped takes no more messages


class EngineAway(Exception):
    """The engine is lost in the middle of a call, which is resumed or rolled back when the engine answers again."""


def run_next_call(application_id: int) -> None:
    """Run the application's next call, unless another worker is at the application."""
    if stopping.has_begun:
        # Leave it to another worker. The process waits for this thread, and by then no longer for messages.
        threading.Timer(REPUBLISH_SECONDS, nudges.publish_nudge, [application_id]).start()
        return
    owner = make_lease_owner()
    call = claim_call(application_id, owner)
    if call is None:
        return
    release_connection()
    with bound_contextvars(**log_ids(call)), CallLease(call, owner) as lease:
        try:
            if call.attempts > 1:
                lease.outwait_predecessor()
            CallRun(call, owner, lease).run()
        except HandOver:
            lease.end()
            hand_over_call(call, owner)
            log.info("call handed over")
        except EngineAway:
            lease.end()
            hand_over_call(call, owner, rest=ENGINE_REST_SECONDS)
            log.warning("the call waits for its engine")
        except LeaseLost:
            log.warning("another worker has taken the call over")


def log_ids(call: TriggerCall) -> dict[str, str]:
    """Return what every log line has while the call runs: its own id, and the id of the request that made it."""
    return {"call_id": str(call.pk)} | ({"request_id": call.request_id} if call.request_id else {})


def find_credentials(reference: str, endpoint: EngineEndpoint) -> PullCredentials:
    """A CredentialSource. The engine's code calls it in its own threads too, so it closes a connection that it opened."""
    is_open = connection.connection is not None
    try:
        return engine_credentials(reference, endpoint)
    finally:
        if not is_open:
            connection.close()


class CallRun:
    """One attempt at a claimed call."""

    def __init__(self, call: TriggerCall, owner: str, lease: CallLease) -> None:
        self.call, self.owner, self.lease = call, owner, lease
        service = call.service.name if call.service else ""
        is_act = call.action not in TRIGGER_ACTIONS
        self.returns_to = read_previous_images(call.returns_to)
        images = tuple(source for image in self.returns_to.values() for source in image.sources)
        self.target = Target(call.application.name, call.application.source, service, state_only=is_act, images=images)
        self.steps: list[ScalingStep] = []
        self._lost_since: float | None = None  # when the engine stopped answering
        self._has_waited = WAITS_FOR_ENGINE in call.message  # an earlier attempt left the call to wait for it

    def run(self) -> None:
        if self.call.attempts > MAXIMUM_ATTEMPTS:
            self.finish(*self._give_up(is_last=self.call.attempts > MAXIMUM_ATTEMPTS + 1))
            return
        self.finish(*self._work_patiently())

    def _give_up(self, is_last: bool) -> tuple[Outcome, Snapshot | None]:
        """`is_last`: a worker was lost at the rollback too."""
        cause = Cancelled(f"Given up: {MAXIMUM_ATTEMPTS} workers were lost while they ran this call.", code=Reason.LOST)
        return (Outcome("failed", Reason.LOST, cause.message), None) if is_last else self._take_back(cause)

    @property
    def before(self) -> Snapshot | None:
        """The target when the call was first claimed; None at the first attempt."""
        return Snapshot.from_json(self.call.before)

    def _work_patiently(self) -> tuple[Outcome, Snapshot | None]:
        """Return the outcome, and what the target is like afterwards (None if that is unknown)."""
        while True:
            try:
                return self._work()
            except EngineUnreachable as error:
                self._lost_since = self._lost_since or time.monotonic()
                if time.monotonic() - self._lost_since >= ENGINE_PATIENCE or self._has_waited:
                    self._wait_for_engine(error)
                    return self._conclude_lost(error), None
                self.report("warning", "wait", f"{error.message} Trying again.")
                time.sleep(1.0)
            except (LeaseLost, HandOver, DatabaseError):
                raise
            except Exception as error:
                log.exception("a defect ended the call")
                sentence = f"Windlass has a defect ({type(error).__name__}); its log has the details."
                return self._take_back(Cancelled(sentence, code=Reason.INTERNAL_ERROR))

    def _wait_for_engine(self, error: EngineUnreachable) -> None:
        """Leave a call that may have begun something to the time when the engine answers again, within the call's limit.

        Raises EngineAway then.
        """
        started = self.call.started_at or timezone.now()
        until = started + timedelta(seconds=settings.CALL_LIMIT_SECONDS)
        if not self._may_be_half_done() or self.lease.find_interruption() or timezone.now() >= until:
            return
        text = f"{error.message} {WAITS_FOR_ENGINE} {until:%Y-%m-%d %H:%M:%S} UTC at the latest."
        if not self._has_waited:
            self.report("warning", "wait", text)
        raise EngineAway

    def _take_back(self, cause: Cancelled) -> tuple[Outcome, Snapshot | None]:
        """End the call for `cause`, and roll back what was begun, as far as that is possible."""
        if self.call.plan and self.call.action in TRIGGER_ACTIONS:
            try:
                driver = driver_for(self.target.source)
                endpoint = self.call.application.endpoint
                release_connection()
                with EngineClient(endpoint, credentials=find_credentials) as client:
                    return self._withdraw(driver, client, self._observe(driver, client, self.target), cause)
            except (LeaseLost, HandOver, DatabaseError):
                raise
            except Exception:
                log.exception("the call could not be rolled back")
        return Outcome("failed", cause.code, f"{cause.message} {self._last_known()}"), None

    def _conclude_lost(self, error: EngineUnreachable) -> Outcome:
        message = f"{error.message} {self._last_known()}"
        interruption = self.lease.find_interruption()
        if interruption is None:
            return Outcome("failed", error.code, message)
        return Outcome("failed", interruption.code, f"{interruption.message} {message}")

    def _work(self) -> tuple[Outcome, Snapshot | None]:
        try:
            self._check_unless_begun()
            check_age(self.call)
            driver = driver_for(self.target.source)
            endpoint = self.call.application.endpoint
            release_connection()
            with EngineClient(endpoint, credentials=find_credentials) as client:
                return self._run_on(driver, client)
        except EngineUnreachable:
            raise
        except (Cancelled, PlanRefused) as error:
            if isinstance(error, PlanRefused) and self._may_be_half_done():
                return self._take_back(Cancelled(error.message, code=error.code))
            return Outcome("failed", error.code, f"{error.message} Nothing was touched."), self.before
        except EngineError as error:
            return Outcome("failed", error.code, error.message), None

    def _check_unless_begun(self) -> None:
        """Let a cancelled call go on if an earlier attempt may have begun something, which has to be rolled back first."""
        try:
            self.lease.check()
        except Cancelled:
            if not self.call.plan:
                raise

    def _observe(self, driver: Driver, client: EngineClient, target: Target) -> Observation:
        is_delete = self.call.action == Action.DELETE
        return driver.observe_remains(client, target) if is_delete else driver.observe(client, target)

    def _run_on(self, driver: Driver, client: EngineClient) -> tuple[Outcome, Snapshot | None]:
        observation = self._observe(driver, client, self.target)
        self._lost_since, self._has_waited = None, False
        if cause := self._find_cause_to_withdraw():
            return self._withdraw(driver, client, observation, cause)
        self._record_before(driver, observation)
        plan = self._make_plan(driver, observation)
        save_progress(self.call, self.owner, plan=plan.as_text())
        if plan.is_empty():
            return self._conclude_unchanged(observation), observation.snapshot()
        release_connection()
        outcome = driver.execute(client, plan, self.report, self.lease.check, self.show_progress, self.keep)
        if outcome.state == "succeeded" and self.call.action == Action.REDEPLOY:
            remove_replaced_images(client, self.call.application, observation, self.report)
        return outcome, self._observe_after(driver, client)

    def _find_cause_to_withdraw(self) -> Cancelled | None:
        """Return why the call is interrupted if an earlier attempt may have begun what execute itself would not roll back."""
        return self.lease.find_interruption() if self._may_be_half_done() else None

    def _may_be_half_done(self) -> bool:
        """Return whether an earlier attempt may have left containers under temporary names. A Swarm continues by itself."""
        is_begun = bool(self.call.plan) and self.call.action in TRIGGER_ACTIONS
        return is_begun and not driver_for(self.target.source).takes_back_earlier

    def _withdraw(
        self, driver: Driver, client: EngineClient, observation: Observation, cause: Cancelled
    ) -> tuple[Outcome, Snapshot | None]:
        """Remove the containers that a scaling has added. Of a redeploy that is half done, bring the previous containers back:
        that is how every plan begins, and then it is stopped."""

        def stop() -> None:
            self.lease.check()
            raise cause

        before = self._count_before() if self.call.action == Action.SCALING and not driver.takes_back_earlier else None
        check = self._check_unless_begun
        try:
            if before is not None and observation.current_count(self.target.service) > before:
                plan = driver.plan_scale(observation, self.target.service, before, FIRST_ATTEMPT)
            else:
                self._record_before(driver, observation)
                plan, check = self._make_plan(driver, observation), stop
        except PlanRefused:
            plan = driver.plan_repair(observation)
        release_connection()
        outcome = driver.execute(client, plan, self.report, check, self.show_progress, self.keep)
        after = self._observe_after(driver, client)
        return outcome if driver.takes_back_earlier else self._conclude_withdrawal(outcome, after, cause), after

    def _count_before(self) -> int | None:
        """Return the service's running containers before the call; None if the snapshot does not have it."""
        found = self.before.services.get(self.target.service) if self.before else None
        return found.begun if found else None

    def _conclude_withdrawal(self, outcome: Outcome, after: Snapshot | None, cause: Cancelled) -> Outcome:
        if after is None:
            return Outcome("failed", cause.code, f"{cause.message} {self._last_known()}")
        if not (differences := describe_differences(self.before, after)):
            sentence = f"{cause.message} Everything that an earlier attempt had begun was rolled back."
            return Outcome("rolled_back", cause.code, sentence)
        problem = f" {outcome.message}" if outcome.reason not in {"", cause.code} else ""
        sentence = f"{cause.message}{problem} Part of the change remains: {'; '.join(differences)}."
        return Outcome("failed", cause.code, sentence)

    def _observe_after(self, driver: Driver, client: EngineClient) -> Snapshot | None:
        """Return None if the engine no longer answers: the work is done, and must not be done again only to read that."""
        try:
            return self._observe(driver, client, replace(self.target, state_only=True, images=())).snapshot()
        except EngineError as error:
            self.report("warning", "observe", f"Could not read what runs now: {error.message}")
            return None

    def _record_before(self, driver: Driver, observation: Observation) -> None:
        """Store, at the first attempt, what the target is like, and the counts that the steps of scaling calls lead to."""
        if self.call.action == Action.SCALING:
            if not self.steps and self.call.target_replicas is None:
                self._record_targets(observation, driver.minimum_replicas)
        elif self.call.before is None:
            before = observation.snapshot()
            if self.call.action == Action.REDEPLOY and self.call.application.is_swarm:
                before = complete_facts(before, self.call.application)
            save_progress(self.call, self.owner, before=before.to_json())

    def _record_targets(self, observation: Observation, minimum: int) -> None:
        base = observation.current_count(self.target.service)
        self.steps = apply_steps(list_merged_calls(self.call), base, minimum)
        save_targets(self.call, self.owner, self.steps, observation.snapshot())
        for step in self.steps:
            self.report("info", "scale", describe_step(step))

    def _make_plan(self, driver: Driver, observation: Observation) -> Plan:
        if self.call.action == Action.SCALING:
            return driver.plan_scale(observation, self.target.service, self._find_target(observation), self._make_intent())
        if self.call.action == Action.REDEPLOY:
            return driver.plan_redeploy(observation, self._make_intent())
        return driver.plan_act(observation, cast(Act, self.call.action), self.call.container, self._make_intent())

    def _find_target(self, observation: Observation) -> int:
        """Return the count that the last of the merged calls leads to."""
        if self.steps:
            return self.steps[-1].count
        target = list_merged_calls(self.call)[-1].target_replicas
        return observation.current_count(self.target.service) if target is None else target

    def _make_intent(self) -> Intent:
        trigger = self.call.trigger
        leave = trigger is not None and trigger.on_failure == OnFailure.PAUSE
        leaves_stopped = self.call.action == Action.REDEPLOY and not self.call.start_stopped
        stopped = read_stopped(self.call.application) if leaves_stopped else {}
        done = read_predeployed(self.call)
        return Intent(
            "pause" if leave else "rollback", self.before, self.call.tag, stopped, str(self.call.pk), done, self.returns_to
        )

    def _conclude_unchanged(self, observation: Observation) -> Outcome:
        """An act that an earlier attempt has completed did change something."""
        if self.call.action in ACTS:
            is_unchanged = self.before == observation.snapshot()
            end = " Nothing was changed." if is_unchanged else ""
            subject = self.call.container or self.target.name_part(self.target.service)
            problem = describe_crashing(observation.snapshot(), self.call.container) if self.call.action == Action.START else ""
            sentence = f"{subject} {problem or UNCHANGED[self.call.action]}.{end}"
            return Outcome("succeeded", Reason.UNCHANGED if is_unchanged else "", sentence)
        return Outcome("succeeded", Reason.UNCHANGED, self._describe_unchanged(observation))

    def _describe_unchanged(self, observation: Observation) -> str:
        if self.call.action == Action.REDEPLOY:
            return f"{self.target.application} has nothing to redeploy."
        count = observation.current_count(self.target.service)
        limit = f" {describe_step(self.steps[-1])}" if self.steps else ""
        service = observation.snapshot().services.get(self.target.service)
        if service is not None and service.running is not None and service.running != count:
            return f"{self.target.service} already has {count}, of which {service.running} run; nothing was changed.{limit}"
        return f"{self.target.service} already runs {count}; nothing was changed.{limit}"

    def report(self, level: str, operation: str, text: str) -> None:
        """Add an event. While something is waited for, the call's message says for what and until when."""
        add_event(self.call, level, operation, text)
        waiting = text if operation == "wait" else ""
        if self.call.message != waiting:
            save_progress(self.call, self.owner, message=clean_event_text(waiting))
        release_connection()
        log.log(LOG_LEVELS[level], "operation", operation=operation, text=text)

    def keep(self, evidence: Evidence) -> None:
        keep_evidence(self.call, evidence)
        release_connection()

    def show_progress(self, service: str, done: int, wanted: int) -> None:
        if self.call.progress.get(service) != [done, wanted]:
            save_progress(self.call, self.owner, progress={**self.call.progress, service: [done, wanted]})
            release_connection()

    def _last_known(self) -> str:
        if self.call.plan and self.call.action in ACTS:
            return "The last event shows how far it came; run the same call again to continue from there."
        if self.call.plan:
            return "The last event shows how far it came; a redeploy completes or undoes what is half done."
        return "Nothing was touched."

    def finish(self, outcome: Outcome, after: Snapshot | None = None) -> None:
        state = CallState(outcome.state)
        if state == CallState.SUCCEEDED and read_cancellation(self.call.pk) is not None:
            outcome = replace(outcome, message=f"{outcome.message} It was too late to cancel it.")
        if state != CallState.SUCCEEDED:
            outcome = replace(outcome, message=add_first_error(outcome.message, self.call.failure))
        own = {step.call.pk: f"{describe_step(step)} {outcome.message}" for step in self.steps} if len(self.steps) > 1 else {}
        self.report("info" if state == CallState.SUCCEEDED else "error", "end", outcome.message)
        finish_call(self.call, self.owner, state, outcome.reason, own.get(self.call.pk, outcome.message), after, own)
