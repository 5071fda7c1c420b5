"""Which images a redeploy of the previous ones returns to: of an application, of a service, or from before a call."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clusters.engine.previous_images import PreviousImage, find_main_image
from clusters.engine.snapshot import Snapshot
from clusters.models import Application, Service
from triggers.images.history import ServiceImage, list_image_calls, read_histories
from triggers.images.left import read_left_images
from triggers.models import Action, TriggerCall


@dataclass(frozen=True)
class ServiceReturn:
    """A service that returns to an image. `now` is what it runs; None if that is not known."""

    service: str
    now: ServiceImage | None
    then: ServiceImage


@dataclass(frozen=True)
class Returns:
    """What a redeploy of the previous images would do; `refusal` says why there is nothing to do."""

    services: tuple[ServiceReturn, ...] = ()
    refusal: str = ""

    @property
    def returns_to(self) -> dict[str, Any]:
        """The value of CallRequest.returns_to."""
        return {item.service: item.then.image.to_json() for item in self.services}

    @property
    def fingerprint(self) -> str:
        """A value that changes when anything else would be done."""
        text = json.dumps(self.returns_to, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def find_returns(application: Application, service: Service | None = None) -> Returns:
    """Return what leads to the images before the newest change: of one service, or of every service that this change was
    about. An image that was left for a previous one is passed over, so that a second time leads further back."""
    rows = [service] if service else list(application.services.all())
    histories = read_histories(rows, list_image_calls(application))
    left = read_left_images(application.left_images)
    found = [item for name, entries in histories.items() if (item := find_return(name, entries, left.get(name, ())))]
    if not service:
        found = keep_newest_change(found)
    if not found:
        return Returns(refusal=explain_nothing_known(service.name if service else application.name))
    return Returns(tuple(found))


def find_return(name: str, entries: list[ServiceImage], left: Iterable[str]) -> ServiceReturn | None:
    """`entries` is the service's history, the newest first; `left` are ids and digests."""
    if not entries or not entries[0].is_current:
        return None
    now, keys = entries[0], frozenset(left)
    for entry in entries[1:]:
        if not (now.is_same(entry.image) or entry.image.keys & keys):
            return ServiceReturn(name, now, entry)
    return None


def keep_newest_change(found: list[ServiceReturn]) -> list[ServiceReturn]:
    """Keep the services whose present image came with the same change as the newest one: by the same call, or without one."""
    if not found:
        return []
    newest = max(found, key=lambda item: rank_change(item.now))
    return [item for item in found if find_cause(item.now) == find_cause(newest.now)]


def rank_change(now: ServiceImage | None) -> tuple[bool, float]:
    """A change of unknown time was made after the last call, so it is the newest."""
    since = (now.since or now.seen_at) if now else None
    return (since is None, since.timestamp() if since else 0.0)


def find_cause(now: ServiceImage | None) -> Any:
    """Return what is equal for services that were changed together: the call, else when the change was first seen."""
    return (now.call.pk if now.call else now.seen_at) if now else None


def find_returns_of_call(call: TriggerCall) -> Returns:
    """Return what leads to the images that ran before the call, where others run now."""
    before = Snapshot.from_json(call.before)
    if call.action != Action.REDEPLOY or before is None:
        return Returns(refusal="This call has replaced no image.")
    rows = {row.name: row for row in call.application.services.exclude(status=Application.Status.ABSENT)}
    histories = read_histories(rows.values(), list_image_calls(call.application))
    found = []
    is_missing = True
    for name, seen in sorted(before.services.items()):
        image = find_main_image(seen)
        if image is None or name not in rows:
            continue
        is_missing = False
        now = next((entry for entry in histories[name] if entry.is_current), None)
        if now is None or not now.is_same(image):
            then = ServiceImage(image, dict(seen.facts), until=call.completed_at, replaced_by=call)
            found.append(ServiceReturn(name, now, then))
    if found:
        return Returns(tuple(found))
    if is_missing:
        return Returns(refusal="The images that ran before this call are not known, or its services no longer exist.")
    return Returns(refusal="The images that ran before this call are running now.")


def explain_nothing_known(subject: str) -> str:
    return (
        f"No image is known that {subject} ran before: no redeploy in the record of calls has replaced one. "
        "Choose a tag with Redeploy instead."
    )


def describe_returns(returns_to: Any) -> list[str]:
    """Return the images in words, for the audit log: `web: app:1 (sha256:0123456789ab)`."""
    found = returns_to.items() if isinstance(returns_to, dict) else ()
    images = [(name, PreviousImage.from_json(image)) for name, image in found if isinstance(image, dict)]
    return [f"{name}: {image.reference} ({image.short})" for name, image in images]
