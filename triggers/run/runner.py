"""A worker's way through one call: claim, observe, plan, execute, finish."""

import contextvars
import logging
import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, cast

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from structlog.contextvars import bound_contextvars

from clusters.engine.connection.client import EngineClient
from clusters.engine.driver import ACTS, FIRST_ATTEMPT, Act, Driver, Intent, Observation, Outcome, Plan, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import Cancelled, EngineError, EngineUnreachable, HandOver, PlanRefused
from clusters.leases import make_lease_owner
from clusters.registries import engine_credentials
from triggers.calls import accept as calls
from triggers.models import TRIGGER_ACTIONS, Action, CallState, OnFailure, TriggerCall
from triggers.run.scaling import Step, apply_steps, describe_step
from triggers.run.snapshots import describe_differences, read_count

log = structlog.get_logger("windlass.runner")

UNCHANGED = {"stop": "is stopped", "start": "runs", "restart": "has nothing that runs", "delete": "is not on the engine"}
LOG_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
ENGINE_PATIENCE = 30.0  # seconds an unreachable engine is waited for before the call fails
LEASE_BEATS = 4  # in the time that a lease holds
CANCEL_BEAT_SECONDS = 1.0  # between two looks at whether the call is to be cancelled
OUTWAIT_BEAT_SECONDS = 0.1
REPUBLISH_SECONDS = 1.0  # after which a worker that is being stopped takes no message any more


class CallTimedOut(Exception):
    """A worker has worked at the call for CALL_LIMIT_SECONDS."""


class Stopping:
    """Whether this process is being stopped: it takes no call, and after a grace period hands over those that it runs."""

    def __init__(self) -> None:
        self._hand_over_at: float | None = None

    def begin(self, grace: float) -> None:
        """`grace` in seconds. Called in a signal handler: it takes no lock."""
        if self._hand_over_at is None:
            self._hand_over_at = time.monotonic() + grace

    @property
    def has_begun(self) -> bool:
        return self._hand_over_at is not None

    @property
    def is_over(self) -> bool:
        return self._hand_over_at is not None and time.monotonic() >= self._hand_over_at


stopping = Stopping()


def run_call(call_id: Any) -> None:
    """Work at the application that this call is about, as long as nobody else does: its next call, which may be another one."""
    if stopping.has_begun:
        # It is for another worker. The process waits for this thread, and by then no longer for messages.
        threading.Timer(REPUBLISH_SECONDS, calls.publish_call, [call_id]).start()
        return
    application_id = TriggerCall.objects.filter(pk=call_id).values_list("application_id", flat=True).first()
    if application_id is None:
        return
    owner = make_lease_owner()
    call = calls.claim_call(application_id, owner)
    if call is None:
        return
    with bound_contextvars(**log_ids(call)), Lease(call, owner) as lease:
        try:
            if call.attempts > 1:
                lease.outwait_predecessor()
            Run(call, owner, lease).run()
        except HandOver:
            lease.end()
            calls.hand_over(call, owner)
            log.info("call handed over")
        except calls.LeaseLost:
            log.warning("another worker has taken the call over")


def log_ids(call: TriggerCall) -> dict[str, str]:
    """What each line of the log has while the call is worked at: its own id, and that of the request that asked for it."""
    return {"call_id": str(call.pk)} | ({"request_id": call.request_id} if call.request_id else {})


def find_credentials(reference: str) -> dict[str, str] | None:
    """A CredentialSource. It is asked in threads of the engine's code too: what was opened in one for it is closed."""
    is_open = connection.connection is not None
    try:
        return engine_credentials(reference)
    finally:
        if not is_open:
            connection.close()


class Lease:
    """Keeps a claimed call ours: a thread extends the lease while the call runs; `check` tells whether it still holds."""

    def __init__(self, call: TriggerCall, owner: str) -> None:
        self._call_id, self._owner = call.pk, owner
        # Of this worker's own time: by `started_at` a clock that jumped would end a call halfway.
        self._deadline = time.monotonic() + settings.CALL_LIMIT_SECONDS
        self._held_until = time.monotonic() + calls.lease_seconds()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._keep,), name=f"lease-{call.pk}", daemon=True
        )
        self.cancelled_by = call.cancelled_by if call.cancel_requested_at else None
        self._looked_at = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """It is extended no more."""
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._stop.wait(calls.lease_seconds() / LEASE_BEATS):
            started = time.monotonic()
            try:
                calls.extend_lease(self._call_id, self._owner)
            except calls.LeaseLost:
                self._held_until = 0.0
                break
            except DatabaseError as error:  # tried again at the next beat; check() stops the work when the lease is over
                log.warning("the lease could not be extended", error=str(error))
            else:
                self._held_until = started + calls.lease_seconds()
            connection.close()  # others of the process share a few

    def outwait_predecessor(self) -> None:
        """Until the worker that was taken for lost has found out, should it live; shorter when this one stops or loses it."""
        until = time.monotonic() + settings.CALL_LEASE_SECONDS - calls.lease_seconds()
        while (left := min(until, self._held_until) - time.monotonic()) > 0 and not stopping.is_over:
            time.sleep(min(left, OUTWAIT_BEAT_SECONDS))

    def check(self) -> None:
        """Raises LeaseLost when another worker may work at the call by now, CallTimedOut past the call's limit, Cancelled when
        somebody wants that, HandOver when this process is being stopped and its grace period is over."""
        if time.monotonic() >= self._held_until:
            raise calls.LeaseLost
        if time.monotonic() >= self._deadline:
            raise CallTimedOut
        self._look_for_cancellation()
        if self.cancelled_by is not None:
            raise Cancelled(f"Cancelled by {self.cancelled_by}.")
        if stopping.is_over:
            raise HandOver

    def _look_for_cancellation(self) -> None:
        if self.cancelled_by is not None or time.monotonic() - self._looked_at < CANCEL_BEAT_SECONDS:
            return
        self._looked_at = time.monotonic()
        try:
            self.cancelled_by = calls.read_cancellation(self._call_id)
        except DatabaseError as error:  # looked for at the next beat
            log.warning("whether the call is cancelled could not be read", error=str(error))
            connection.close()


class Run:
    """One attempt at a claimed call."""

    def __init__(self, call: TriggerCall, owner: str, lease: Lease) -> None:
        self.call, self.owner, self.lease = call, owner, lease
        self.target = Target(call.application.name, call.application.source, call.service.name if call.service else "")
        self.steps: list[Step] = []
        self._lost_since: float | None = None  # when the engine stopped answering

    def run(self) -> None:
        if self.call.attempts > calls.MAXIMUM_ATTEMPTS:
            self.finish(Outcome("failed", "lost", f"Given up: {calls.MAXIMUM_ATTEMPTS} workers were lost while working at it."))
            return
        self.finish(*self._work_patiently())

    def _work_patiently(self) -> tuple[Outcome, Any]:
        """The outcome, and what the target is like afterwards (None when that cannot be told)."""
        while True:
            try:
                return self._work()
            except EngineUnreachable as error:
                self._lost_since = self._lost_since or time.monotonic()
                if time.monotonic() - self._lost_since >= ENGINE_PATIENCE:
                    return self._conclude_lost(error), None
                self.report("warning", "wait", f"{error.message} Trying again.")
                time.sleep(1.0)
            except CallTimedOut:
                limit = (
                    f"Stopped at a safe step after {settings.CALL_LIMIT_SECONDS} s, the limit of one call. {self._last_known()}"
                )
                return Outcome("failed", "timed_out", limit), None
            except (calls.LeaseLost, HandOver, DatabaseError):
                raise
            except Exception as error:
                log.exception("the call met a defect")
                sentence = f"Windlass met a defect of its own ({type(error).__name__}); its log says more. {self._last_known()}"
                return Outcome("failed", "internal_error", sentence), None

    def _conclude_lost(self, error: EngineUnreachable) -> Outcome:
        message = f"{error.message} {self._last_known()}"
        if self.lease.cancelled_by is None:
            return Outcome("failed", error.code, message)
        return Outcome("failed", Cancelled.code, f"Cancelled by {self.lease.cancelled_by}. {message}")

    def _work(self) -> tuple[Outcome, Any]:
        try:
            self._check_unless_begun()
            driver = driver_for(self.target.source)
            with EngineClient(self.call.application.endpoint, credentials=find_credentials) as client:
                return self._run_on(driver, client)
        except EngineUnreachable:
            raise
        except (Cancelled, PlanRefused) as error:
            return Outcome("failed", error.code, f"{error.message} Nothing was touched."), self.call.before
        except EngineError as error:
            return Outcome("failed", error.code, error.message), None

    def _check_unless_begun(self) -> None:
        """What an earlier attempt may have begun has to be taken back first."""
        try:
            self.lease.check()
        except Cancelled:
            if not self.call.plan:
                raise

    def _observe(self, driver: Driver, client: EngineClient) -> Observation:
        is_delete = self.call.action == Action.DELETE
        return driver.observe_remains(client, self.target) if is_delete else driver.observe(client, self.target)

    def _run_on(self, driver: Driver, client: EngineClient) -> tuple[Outcome, Any]:
        observation = self._observe(driver, client)
        self._lost_since = None
        if self._is_to_withdraw(driver):
            return self._withdraw(driver, client, observation)
        plan = self._plan(driver, observation)
        calls.save_progress(self.call, self.owner, plan=plan.as_text())
        if plan.is_empty():
            return self._conclude_unchanged(observation), observation.snapshot()
        outcome = driver.execute(client, plan, self.report, self.lease.check, self.show_progress)
        return outcome, self._observe_after(driver, client)

    def _is_to_withdraw(self, driver: Driver) -> bool:
        """Whether an earlier attempt at a cancelled call may have begun what execute itself would not take back."""
        is_begun = bool(self.call.plan) and self.lease.cancelled_by is not None
        return is_begun and not driver.takes_back_earlier and self.call.action in TRIGGER_ACTIONS

    def _withdraw(self, driver: Driver, client: EngineClient, observation: Observation) -> tuple[Outcome, Any]:
        """Containers that a scaling has added go again. Of a redeploy that is half done the old ones come back; that is how
        every plan begins, and then it is stopped."""
        before = read_count(self.call.before, self.target.service) if self.call.action == Action.SCALING else None
        if before is not None and observation.current_count(self.target.service) > before:
            plan, check = driver.plan_scale(observation, self.target.service, before, FIRST_ATTEMPT), self._check_unless_begun
        else:
            plan, check = self._plan(driver, observation), self.lease.check
        outcome = driver.execute(client, plan, self.report, check, self.show_progress)
        after = self._observe_after(driver, client)
        return self._conclude_withdrawal(outcome, after), after

    def _conclude_withdrawal(self, outcome: Outcome, after: Any) -> Outcome:
        cancelled = f"Cancelled by {self.lease.cancelled_by}."
        if after is None:
            return Outcome("failed", Cancelled.code, f"{cancelled} {self._last_known()}")
        if not (differences := describe_differences(self.call.before, after)):
            sentence = f"{cancelled} What an earlier attempt had begun was taken back: it runs as before."
            return Outcome("rolled_back", Cancelled.code, sentence)
        problem = f" {outcome.message}" if outcome.reason not in {"", Cancelled.code} else ""
        return Outcome("failed", Cancelled.code, f"{cancelled}{problem} Some of the change stays: {'; '.join(differences)}.")

    def _observe_after(self, driver: Driver, client: EngineClient) -> Any:
        """None when the engine cannot tell any more: the work is done, and must not be done again for that."""
        try:
            return self._observe(driver, client).snapshot()
        except EngineError as error:
            self.report("warning", "observe", f"What runs now could not be read: {error.message}")
            return None

    def _plan(self, driver: Driver, observation: Observation) -> Plan:
        if self.call.action == Action.SCALING:
            replicas = self._target_replicas(observation, driver.minimum_replicas)
            return driver.plan_scale(observation, self.target.service, replicas, self._intent())
        if self.call.before is None:
            calls.save_progress(self.call, self.owner, before=observation.snapshot())
        if self.call.action == Action.REDEPLOY:
            return driver.plan_redeploy(observation, self._intent())
        return driver.plan_act(observation, cast(Act, self.call.action), self.call.container, self._intent())

    def _intent(self) -> Intent:
        trigger = self.call.trigger
        leave = trigger is not None and trigger.on_failure == OnFailure.PAUSE
        return Intent("pause" if leave else "rollback", self.call.before, self.call.tag)

    def _target_replicas(self, observation: Observation, minimum: int) -> int:
        members = calls.merged_calls(self.call)
        base = observation.current_count(self.target.service)
        if self.call.target_replicas is None:
            self.steps = apply_steps(members, base, minimum)
            calls.save_targets(self.call, self.owner, [(step.call, step.count) for step in self.steps], observation.snapshot())
            for step in self.steps:
                self.report("info", "scale", describe_step(step))
            return self.steps[-1].count
        target = members[-1].target_replicas
        return base if target is None else target

    def _conclude_unchanged(self, observation: Observation) -> Outcome:
        """An act that an earlier attempt has done to its end did change something."""
        if self.call.action in ACTS:
            is_unchanged = self.call.before == observation.snapshot()
            end = " Nothing was changed." if is_unchanged else ""
            sentence = (
                f"{self.call.container or self.target.name_part(self.target.service)} {UNCHANGED[self.call.action]}.{end}"
            )
            return Outcome("succeeded", "unchanged" if is_unchanged else "", sentence)
        return Outcome("succeeded", "unchanged", self._describe_unchanged(observation))

    def _describe_unchanged(self, observation: Observation) -> str:
        if self.call.action == Action.REDEPLOY:
            return f"{self.target.application} has nothing to redeploy."
        count = observation.current_count(self.target.service)
        limit = f" {describe_step(self.steps[-1])}" if self.steps else ""
        return f"{self.target.service} already runs {count}; nothing was changed.{limit}"

    def report(self, level: str, operation: str, text: str) -> None:
        calls.add_event(self.call, level, operation, text)
        log.log(LOG_LEVELS[level], "operation", operation=operation, text=text)

    def show_progress(self, service: str, done: int, wanted: int) -> None:
        if self.call.progress.get(service) != [done, wanted]:
            calls.save_progress(self.call, self.owner, progress={**self.call.progress, service: [done, wanted]})

    def _last_known(self) -> str:
        if self.call.plan and self.call.action in ACTS:
            return "The last event says how far it came; the same call once more goes on from there."
        if self.call.plan:
            return "The last event says how far it came; a redeploy finishes or undoes what is half done."
        return "Nothing was touched."

    def finish(self, outcome: Outcome, after: Any = None) -> None:
        state = CallState(outcome.state)
        if state == CallState.SUCCEEDED and calls.read_cancellation(self.call.pk) is not None:
            outcome = replace(outcome, message=f"{outcome.message} It was too late to cancel it.")
        own = {step.call.pk: f"{describe_step(step)} {outcome.message}" for step in self.steps} if len(self.steps) > 1 else {}
        self.report("info" if state == CallState.SUCCEEDED else "error", "end", outcome.message)
        calls.finish_call(self.call, self.owner, state, outcome.reason, own.get(self.call.pk, outcome.message), after, own)
