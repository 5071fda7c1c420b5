"""Run a one-off container to its end, before anything is touched."""

import time
from typing import TYPE_CHECKING, Any

from clusters.engine.errors import EngineRefused, PullFailed, TargetMissing
from clusters.engine.hooks import HookFailed
from clusters.engine.standalone.health import POLL_SECONDS, describe_container_exit
from clusters.engine.standalone.hook_operations import Performer, RunOnce
from clusters.engine.standalone.inspected import RUNNING_STATES
from clusters.engine.wording import describe_moment, sentence

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient
    from clusters.engine.lanes import LaneRunner

ANNOUNCED_SECONDS = 2.0  # after which it is reported what is waited for
ADVICE = "Name an image with sh, sleep and either bash or nc by the label windlass.check.image"


def run_once(handler: Performer, lanes: "LaneRunner", client: "EngineClient", operation: RunOnce) -> None:
    """Return when the container has ended with success. Raises HookFailed, EngineUnreachable, and Abandoned from a wait.

    What the container printed is kept if it fails. It is not removed here.
    """
    lanes.report("info", operation.kind, operation.describe())
    try:
        for inner in operation.begin:
            handler.perform(client, inner)
        state = await_end(handler, lanes, client, operation)
    except (EngineRefused, TargetMissing, PullFailed) as error:
        raise fail(handler, client, operation, f"could not be run: {error.message}") from error
    if state.get("ExitCode") != 0 or state.get("OOMKilled") or state.get("Error"):
        raise fail(handler, client, operation, f"failed{describe_container_exit(state)}")
    if operation.done:
        lanes.report("info", operation.kind, operation.done)


def await_end(handler: Performer, lanes: "LaneRunner", client: "EngineClient", operation: RunOnce) -> dict[str, Any]:
    """Return the container's state at its end. Raises HookFailed at the deadline."""
    container, begun = handler.find_id(operation.container), time.monotonic()
    is_announced = False
    while True:
        state: dict[str, Any] = handler.inspect(client, container)["State"]
        if state["Status"] not in RUNNING_STATES:
            return state
        waited = time.monotonic() - begun
        if waited >= operation.timeout:
            message = f"did not end within {operation.timeout:g} s"
            code = "predeploy_timed_out" if operation.done else operation.code
            raise fail(handler, client, operation, message, code=code)
        if waited >= ANNOUNCED_SECONDS and not is_announced:
            is_announced = True
            until = describe_moment(operation.timeout - waited)
            lanes.report("info", "wait", f"Waiting until {until} at the latest for the end of {operation.what}.")
        lanes.pause(POLL_SECONDS)


def fail(
    handler: Performer,
    client: "EngineClient",
    operation: RunOnce,
    problem: str,
    code: str = "",
) -> HookFailed:
    """Keep the container's evidence, and return the error to raise."""
    is_step = bool(operation.done)
    message = sentence(f"{operation.what[0].upper()}{operation.what[1:]} {problem}")
    message = message if is_step else f"{message} {ADVICE}."
    container = handler.find_known_id(operation.container)
    if container and is_step:
        handler.keep_evidence(client, container, operation.container.name, message)
    return HookFailed(message, code=code or operation.code)
