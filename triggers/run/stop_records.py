"""What people stopped in Windlass, so that a redeploy leaves it stopped. Each application keeps the record of it.

The record is `{name: {"name", "id", "image_id", "state", "started_at"}}`: the containers as the last Stop left them. Whether
one has been started since, by anybody, is seen on the engine (clusters.engine.standalone.stopped).
"""

from collections.abc import Mapping

from clusters.engine.snapshot import ContainerSnapshot, Snapshot
from clusters.models import Application
from triggers.hook_queries import lock_application
from triggers.models import Action, CallState, TriggerCall

RUNNING_STATES = {"running", "paused", "restarting"}
ENDS = {CallState.SUCCEEDED, CallState.FAILED}  # a Stop that failed has stopped some


def record_stop(call: TriggerCall, state: CallState, after: Snapshot | None) -> None:
    """Record what a Stop left stopped; forget what a Start was to start. Call this first in a transaction: it locks the
    application, which is locked before its calls."""
    if call.action not in {Action.STOP, Action.START} or state not in ENDS or after is None:
        return
    try:
        lock_application(call.application_id)
    except Application.DoesNotExist:  # deleted with its cluster
        return
    containers = [item for service in after.services.values() for item in service.containers]
    chosen = [item for item in containers if call.container in {"", item.name}]
    row = Application.objects.filter(pk=call.application_id)
    names = {item.name for item in chosen}
    known = row.values_list("left_stopped", flat=True).first() or {}
    kept = {name: entry for name, entry in known.items() if name not in names}
    if call.action == Action.STOP:
        kept |= {item.name: item.to_json() for item in chosen if item.state not in RUNNING_STATES}
    row.update(left_stopped=kept or None)


def read_stopped(application: Application) -> Mapping[str, ContainerSnapshot]:
    """Return the containers that the last Stop left, by name."""
    found = application.left_stopped if isinstance(application.left_stopped, dict) else {}
    return {name: ContainerSnapshot.from_json(entry) for name, entry in found.items() if isinstance(entry, dict)}
