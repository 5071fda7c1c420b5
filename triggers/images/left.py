"""Which images were left for a previous one, so that pushes and polling do not take them again by themselves.

Each application keeps the record of it: `{"web": ["sha256:…", …]}`, ids and digests by service. It is written when a redeploy
has returned the service to a previous image, and forgotten when any other redeploy of the service succeeds.
"""

from collections.abc import Mapping
from typing import Any

from clusters.engine.previous_images import read_previous_images
from clusters.engine.snapshot import ServiceSnapshot, Snapshot
from clusters.models import Application
from triggers.hook_queries import lock_application
from triggers.models import Action, CallState, TriggerCall

KEYS = 40  # of a service; the newest are kept


def record_left_images(call: TriggerCall, state: CallState, after: Snapshot | None) -> None:
    """Record what a call left. Call this before the call's row is written: it locks the application, which is locked first."""
    if call.action != Action.REDEPLOY or state != CallState.SUCCEEDED:
        return
    if not (call.returns_to or call.application.left_images):
        return
    try:
        lock_application(call.application_id)
    except Application.DoesNotExist:  # deleted with its cluster
        return
    row = Application.objects.filter(pk=call.application_id)
    known = read_left_images(row.values_list("left_images", flat=True).first())
    before = Snapshot.from_json(call.before) or Snapshot()
    if call.returns_to:
        found = dict(known) | {
            name: merge(known.get(name, ()), before.services.get(name, ServiceSnapshot()), image.keys)
            for name, image in read_previous_images(call.returns_to).items()
        }
    else:
        redeployed = {*before.services, *(after.services if after else ())}
        found = {name: keys for name, keys in known.items() if name not in redeployed}
    row.update(left_images={name: list(keys) for name, keys in found.items() if keys} or None)


def merge(known: tuple[str, ...], before: ServiceSnapshot, running: frozenset[str]) -> tuple[str, ...]:
    """Return the keys of the images that were left, without those of the one that runs now."""
    left = [*known, *before.images, *(digest.rpartition("@")[2] for digest in before.digests)]
    return tuple(dict.fromkeys(key for key in left if key not in running))[-KEYS:]


def read_left_images(value: Any) -> Mapping[str, tuple[str, ...]]:
    """Read Application.left_images."""
    found = value.items() if isinstance(value, dict) else ()
    return {str(name): tuple(map(str, keys)) for name, keys in found if isinstance(keys, list)}
