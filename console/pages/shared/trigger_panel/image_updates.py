"""Image updates on the pages: what a trigger follows, and where the registries of its images are set up."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from clusters.models import Registry
from triggers.models import Trigger
from triggers.pushes.subscription_forms import SubscriptionForms
from triggers.pushes.subscriptions import describe_condition, host_of
from triggers.selectors import subscriptions_with_last_delivery

SHOWN = ("host", "aliases")  # the fields of a registry that are neither secret nor long


@dataclass(frozen=True)
class SetupLink:
    """The page where the registry of an image is set up: its own if it is `stored` in Windlass, else the page that adds it."""

    host: str
    stored: bool
    address: str


@dataclass(frozen=True)
class ImageUpdate:
    """A subscription with what its row in the trigger panel shows beside its own fields.

    `setup` is set for one that waits for its registry, and None where the reader may not set that up. `delivery` is the address
    of its last delivery, empty where the reader may not see it."""

    subscription: Any
    condition: str
    setup: SetupLink | None
    delivery: str = ""

    @property
    def host(self) -> str:
        return host_of(self.subscription.repository)

    @property
    def waits(self) -> bool:
        return is_waiting(self.subscription)


def is_waiting(subscription: Any) -> bool:
    """Return whether no push of this image ever arrived, so that its registry may still have to be set up."""
    return subscription.last_decision is None and not subscription.poll_seconds


def add_image_updates(request: HttpRequest, triggers: Iterable[Trigger]) -> list[Trigger]:
    """Return the triggers, each with `image_updates`."""
    shown = list(triggers)
    seen = {trigger.pk for trigger in shown if request.user.has_perm("triggers.view_imagesubscription", trigger)}
    rows = list(subscriptions_with_last_delivery().filter(trigger__in=seen)) if seen else []
    links = find_setup_links(request, {row.repository for row in rows if is_waiting(row)})
    by_trigger: dict[int, list[ImageUpdate]] = defaultdict(list)
    for row in rows:
        delivery = find_delivery_address(request, row.last_delivery)  # type: ignore[attr-defined]
        by_trigger[row.trigger_id].append(ImageUpdate(row, describe_condition(row), links.get(row.repository), delivery))
    for trigger in shown:
        trigger.image_updates = by_trigger[trigger.pk]  # type: ignore[attr-defined]
    return shown


def find_delivery_address(request: HttpRequest, delivery: Any) -> str:
    """Return the address of the delivery with this id; empty without an id, or where the reader may not see it."""
    may_see = delivery is not None and request.user.has_perm("triggers.view_delivery")
    return reverse("delivery", args=[delivery]) if may_see else ""


def add_setup_links(request: HttpRequest, boxes: SubscriptionForms) -> SubscriptionForms:
    """Set `setup` on the boxes that were refused, where the reader may see it."""
    refused = [form for form in boxes if form.permission is not None and form.refusal]
    links = find_setup_links(request, {form.repository for form in refused})
    for form in refused:
        form.setup = links.get(form.repository)  # type: ignore[attr-defined]
    return boxes


def find_setup_links(request: HttpRequest, repositories: Iterable[str]) -> dict[str, SetupLink]:
    """Return the links by repository, where the reader may open them. Runs one query at most and reads no secret."""
    wanted = {repository: host_of(repository) for repository in repositories}
    if not wanted or not request.user.has_perm("clusters.view_registry"):
        return {}
    known = {host: registry for registry in Registry.objects.only(*SHOWN) for host in registry.hosts}
    may_add = request.user.has_perm("clusters.add_registry")
    links = {}
    for repository, host in wanted.items():
        registry = known.get(host)
        if registry is not None:
            links[repository] = SetupLink(registry.host, True, reverse("registry", args=[registry.pk]))
        elif may_add:
            links[repository] = SetupLink(host, False, f"{reverse('registry_create')}?{urlencode({'host': host})}")
    return links
