"""Images in words: what ran, what it says about itself, and what changed from the one before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusters.engine.cleaning import read_time
from clusters.engine.previous_images import PreviousImage
from clusters.models import Application, Service
from console.pages.shared.image_history.comparison import find_source_url, make_comparison_url
from console.wording import short_id
from triggers.images.history import ServiceImage, list_image_calls, read_histories
from triggers.images.previous import ServiceReturn
from triggers.models import TriggerCall

REVISION_SHOWN = 12  # characters


@dataclass(frozen=True)
class ShownImage:
    """An image. `key` is its digest, or the id of an image that no registry ever had."""

    reference: str
    key: str
    version: str = ""
    revision: str = ""
    source_url: str = ""
    built_at: datetime | None = None

    @property
    def short(self) -> str:
        return short_id(self.key)

    @property
    def short_revision(self) -> str:
        return self.revision[:REVISION_SHOWN]


@dataclass(frozen=True)
class ShownEntry:
    """A row of the history. `compare_url` leads to what changed from the image before."""

    service: str
    image: ShownImage
    entry: ServiceImage
    compare_url: str = ""

    @property
    def call(self) -> TriggerCall | None:
        return self.entry.call


@dataclass(frozen=True)
class ShownReturn:
    """A service in the dialog. `compare_url` leads from what it returns to, to what runs now."""

    service: str
    now: ShownImage | None
    then: ShownImage
    until: datetime | None
    replaced_by: TriggerCall | None
    compare_url: str = ""


def show_image(image: PreviousImage, facts: Mapping[str, str]) -> ShownImage:
    key = image.digests[0].rpartition("@")[2] if image.digests else image.image_id
    return ShownImage(
        reference=image.reference,
        key=key,
        version=facts.get("version", ""),
        revision=facts.get("revision", ""),
        source_url=find_source_url(facts),
        built_at=read_time(facts.get("created", "")),
    )


def show_service(service: Service) -> ShownImage:
    """Return what a service runs, by the inventory."""
    facts = service.image_facts or {}
    return show_image(PreviousImage(service.image, service.image_id, tuple(map(str, service.image_digests))), facts)


def describe_history(application: Application, services: Sequence[Service]) -> dict[str, Any]:
    """Return the context of `_image_history.html`."""
    rows = []
    for name, entries in read_histories(services, list_image_calls(application)).items():
        for place, entry in enumerate(entries):
            before = entries[place + 1].facts if place + 1 < len(entries) else {}
            shown = show_image(entry.image, entry.facts)
            rows.append(ShownEntry(name, shown, entry, make_comparison_url(before, entry.facts)))
    return {"images": rows}


def show_return(item: ServiceReturn) -> ShownReturn:
    return ShownReturn(
        service=item.service,
        now=show_image(item.now.image, item.now.facts) if item.now else None,
        then=show_image(item.then.image, item.then.facts),
        until=item.then.until,
        replaced_by=item.then.replaced_by,
        compare_url=make_comparison_url(item.then.facts, item.now.facts) if item.now else "",
    )
