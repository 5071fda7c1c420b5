"""Plan and ask the check of a new container: an address, asked from a helper that shares the container's network."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clusters.engine import names
from clusters.engine.errors import EngineRefused, TargetMissing
from clusters.engine.evidence import make_masker, mask_lines, read_output
from clusters.engine.hooks import HookFailed, describe_answer, read_check
from clusters.engine.logs.portions import LogSource
from clusters.engine.standalone.health import POLL_SECONDS, Watched, check_container
from clusters.engine.standalone.hook_operations import AskCheck, Performer, RemoveHelper
from clusters.engine.standalone.inspected import RUNNING_STATES, InspectedContainer
from clusters.engine.standalone.plan import Create, Ref, Start

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient
    from clusters.engine.lanes import LaneRunner

ASKED = "its label says so, before the old container is removed"
ITSELF = "127.0.0.1"  # the helper is in the network of what it asks
OUTPUT_LINES = 20


def plan_check(container: InspectedContainer, new: Ref, image: str, platform: str) -> AskCheck | None:
    """Return the check of `new`, the successor of `container`; None where its labels have none. Raises PlanRefused."""
    check = read_check(container.place.service, container.labels)
    if check is None:
        return None
    image, platform = (check.image, "") if check.image else (image, platform)
    ref = Ref(f"{container.name}.windlass-check")
    command = check.make_command(check.host or ITSELF)
    helper = make_helper(container, ref, image, command, platform=platform, joined=new, cause=ASKED)
    return AskCheck(
        container=new, helper=helper, check=check, cause=ASKED, undo=(RemoveHelper(container=ref, cause="the check has ended"),)
    )


def make_helper(
    container: InspectedContainer,
    ref: Ref,
    image: str,
    command: Sequence[str],
    *,
    cause: str,
    platform: str = "",
    joined: Ref | None = None,
) -> Create:
    """Create a container that runs the command and may nothing else. It shares the network of `joined`, or has none."""
    config = {
        "Image": image,
        "Entrypoint": list(command),
        "Cmd": [],
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "Labels": make_hook_labels(container, "check"),
        "HostConfig": {
            "NetworkMode": "none",
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
        },
    }
    joins = (("NetworkMode", joined),) if joined else ()
    return Create(name=ref.name, config=config, joins=joins, platform=platform, cause=cause)


def make_hook_labels(container: InspectedContainer, kind: str) -> dict[str, str]:
    """Return labels by which a clean-up finds the container, and by which Compose takes it for a one-off of the service."""
    place = container.place
    if place.source == "compose":
        found = {names.PROJECT_LABEL: place.application, names.SERVICE_LABEL: place.service, names.ONEOFF_LABEL: "True"}
    else:
        found = {names.APPLICATION_LABEL: place.application, names.CLONE_SERVICE_LABEL: place.service}
    return {**found, names.HOOK_LABEL: kind}


# Asking


def ask_check(handler: Performer, lanes: "LaneRunner", client: "EngineClient", operation: AskCheck) -> None:
    """Return when the check has passed. Raises HookFailed, NotHealthy. The helper of a failed check is left to its `undo`."""
    ref, check = Ref(operation.helper.name), operation.check
    name = names.base_name(operation.container.name)
    watched = Watched(handler.find_id(operation.container), name)
    try:
        handler.perform(client, operation.helper)
        handler.perform(client, Start(container=ref, cause=ASKED))
    except (EngineRefused, TargetMissing) as error:
        what = f"The check {check.address} of {name} could not be asked from {operation.helper.config['Image']}"
        raise HookFailed(f"{what}: {error.message}", code="check_impossible") from error
    helper, ends = handler.find_id(ref), time.monotonic() + check.timeout
    while (state := handler.inspect(client, helper)["State"])["Status"] in RUNNING_STATES:
        check_container(client, watched, 0.0)
        if time.monotonic() >= ends:
            break
        lanes.pause(POLL_SECONDS)
    has_passed = state["Status"] not in RUNNING_STATES and state.get("ExitCode") == 0
    answer = describe_answer(check, read_lines(client, helper), has_passed)
    if not has_passed:
        message = f"{name} did not pass its check within {check.timeout:g} s: {answer}."
        handler.keep_evidence(client, watched.container_id, name, message)
        raise HookFailed(message, code="check_failed")
    handler.perform(client, operation.undo[0])
    handler.forget(ref)
    lanes.report("info", operation.word, f"{name} passed its check: {answer}")


def read_lines(client: "EngineClient", helper: str) -> list[str]:
    """Return what the helper printed last; nothing where its log cannot be read."""
    reading = read_output(client, LogSource("containers", helper, "check"))
    return mask_lines(make_masker(()), [raw.text for raw, _ in reading.lines[-OUTPUT_LINES:]])
