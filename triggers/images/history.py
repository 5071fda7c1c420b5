"""The images that the services of an application ran, one after the other, as its redeploys found and left them.

Nothing is stored for this: every call that ran has a snapshot from before and one from after. What was changed without
Windlass shows in the next call's snapshot, and in the inventory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from clusters.engine.previous_images import PreviousImage, find_main_image
from clusters.engine.snapshot import ServiceSnapshot, Snapshot
from clusters.models import Application, Service
from triggers.models import Action, CallState, TriggerCall
from triggers.selectors import TRIGGER_SECRETS

CALLS_READ = 50  # the newest redeploys of the application
ENDED = (CallState.SUCCEEDED, CallState.FAILED, CallState.ROLLED_BACK)


@dataclass(frozen=True)
class ServiceImage:
    """An image that a service ran.

    `call` brought it at the moment `since`; None for an image that was there before all known calls, or that came without
    Windlass. `until` and `replaced_by` say the same of the image after it; `until` is None for the one that runs now.
    `seen_at` is when it was first seen.
    """

    image: PreviousImage
    facts: dict[str, str] = field(default_factory=dict)
    call: TriggerCall | None = None
    since: datetime | None = None
    seen_at: datetime | None = None
    until: datetime | None = None
    replaced_by: TriggerCall | None = None
    is_current: bool = False

    @property
    def digest(self) -> str:
        """The bare digest by which a registry knows it; empty for an image that no registry ever had."""
        return self.image.digests[0].rpartition("@")[2] if self.image.digests else ""

    def is_same(self, other: PreviousImage) -> bool:
        return bool(self.image.keys & other.keys)


def list_image_calls(application: Application, number: int = CALLS_READ) -> list[TriggerCall]:
    """Return the newest redeploys that have ended, the oldest of them first."""
    calls = TriggerCall.objects.filter(application=application, action=Action.REDEPLOY, state__in=ENDED, before__isnull=False)
    calls = calls.select_related("trigger", "requested_by", "service").defer("plan", "failure", *TRIGGER_SECRETS)
    return list(reversed(calls.order_by("-queued_at")[:number]))


def read_histories(services: Iterable[Service], calls: Sequence[TriggerCall]) -> dict[str, list[ServiceImage]]:
    """Return the images of each service by its name, the newest first. `services` are the application's rows; an absent one
    runs nothing."""
    snapshots = [(call, Snapshot.from_json(call.before), Snapshot.from_json(call.after)) for call in calls]
    return {service.name: read_history(service, snapshots) for service in services}


def read_history(service: Service, calls: Iterable[tuple[TriggerCall, Snapshot | None, Snapshot | None]]) -> list[ServiceImage]:
    """`calls` are with their snapshots, the oldest first."""
    found: list[ServiceImage] = []
    for call, before, after in calls:
        if before and (old := before.services.get(service.name)):
            add_image(found, old, ServiceImage(PreviousImage(""), seen_at=call.started_at))
        if after and call.state == CallState.SUCCEEDED and (new := after.services.get(service.name)):
            brought = ServiceImage(PreviousImage(""), call=call, since=call.completed_at, seen_at=call.completed_at)
            add_image(found, new, brought)
    if now := read_current(service):
        if found and found[-1].is_same(now):
            found[-1] = replace(found[-1], facts=service.image_facts or found[-1].facts, is_current=True)
        else:
            found.append(ServiceImage(now, service.image_facts or {}, is_current=True))
    for place, entry in enumerate(found[:-1]):
        following = found[place + 1]
        found[place] = replace(entry, until=following.since or following.seen_at, replaced_by=following.call)
    return found[::-1]


def add_image(found: list[ServiceImage], seen: ServiceSnapshot, entry: ServiceImage) -> None:
    """Add what was seen, unless it is the same image as before. Facts can be known of the later sight alone."""
    image = find_main_image(seen)
    if image is None:
        return
    if found and found[-1].is_same(image):
        found[-1] = replace(found[-1], facts=found[-1].facts or dict(seen.facts))
    else:
        found.append(replace(entry, image=image, facts=dict(seen.facts)))


def complete_facts(snapshot: Snapshot, application: Application) -> Snapshot:
    """Return a snapshot of a Swarm's services with what the inventory knows of their images: the Swarm itself does not say."""
    rows = {row.name: row for row in application.services.filter(name__in=list(snapshot.services))}

    def complete(name: str, service: ServiceSnapshot) -> ServiceSnapshot:
        image, now = find_main_image(service), read_current(rows[name]) if name in rows else None
        is_known = image and now and image.keys & now.keys
        return replace(service, facts=rows[name].image_facts or {}) if is_known and not service.facts else service

    return Snapshot({name: complete(name, service) for name, service in snapshot.services.items()})


def read_current(service: Service) -> PreviousImage | None:
    """Return the image that the service runs by the inventory; None if that does not know its id or digest."""
    if service.status == Application.Status.ABSENT:
        return None
    image = PreviousImage(service.image, service.image_id, tuple(map(str, service.image_digests)))
    return image if image.keys else None
