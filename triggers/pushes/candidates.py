"""The triggers that a pushed image can call, each with what the inventory says about the services that it redeploys."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import connection
from django.db.models import BooleanField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.utils import timezone

from clusters.models import Application, Registry, Service
from clusters.registry.reference import ImageReference, parse_reference
from triggers.images.left import read_left_images
from triggers.models import Action, CallState, FreezeWindow, ImageSubscription, Trigger, TriggerCall
from triggers.pushes.matching import (
    Hosts,
    PushedImage,
    RedeployTarget,
    RunningImage,
    Subscription,
    follow_services,
    read_running_image,
)

SETTLING = timedelta(seconds=5)  # after a redeploy, in which the inventory can still be out of date
LONGEST_CALL = timedelta(days=1)  # from its queueing to its end, unless a freeze window holds it back

# The columns that a decision needs: neither the trigger's secret nor its cluster's keys.
NEEDED_FIELDS = (
    "public_id",
    "name",
    "action",
    "enabled",
    "cooldown_seconds",
    "expires_at",
    "calls_left",
    "tag_pattern",
    "application_id",
    "service_id",
    "application__name",
    "application__protected",
    "application__cluster_id",
    "application__freeze_label",
    "during_freezes",
)


@dataclass(frozen=True)
class Candidate:
    """A pushed image and one trigger that is associated with its repository."""

    push: PushedImage
    trigger: Trigger
    subscription: Subscription
    target: RedeployTarget

    @property
    def image(self) -> str:
        return self.subscription.repository.repository


def load_hosts() -> Hosts:
    rows = Registry.objects.only("host", "aliases")
    return Hosts({registry.host: registry.hosts for registry in rows})


def find_signing_secrets(registry: Registry, pushes: Iterable[PushedImage]) -> dict[str, str]:
    """Return the signing secret of each other stored registry that the pushes are about, by the host in the pushes.

    Runs no query when all pushes are about `registry`, whose link received them."""
    others = {push.host for push in pushes} - {registry.host}
    if not others:
        return {}
    rows = Registry.objects.exclude(signing_secret="").exclude(pk=registry.pk).only("host", "aliases", "signing_secret")
    return {host: row.signing_secret for row in rows for host in row.hosts if host in others}


def select_triggers() -> QuerySet[Trigger]:
    """Return triggers with what a decision needs, and with `may_be_frozen`."""
    rows = Trigger.objects.select_related("application").only(*NEEDED_FIELDS)
    return rows.annotate(may_be_frozen=can_be_frozen("application"))  # type: ignore[no-redef]


def can_be_frozen(path: str) -> ExpressionWrapper:
    """Return the condition that a freeze window or a label can concern the application at that path."""
    of_place = Q(application=None) | Q(application=OuterRef(path))
    windows = FreezeWindow.objects.filter(of_place, cluster=OuterRef(f"{path}__cluster"))
    return ExpressionWrapper(Exists(windows) | ~Q(**{f"{path}__freeze_label": ""}), output_field=BooleanField())


def find_candidates(pushes: Sequence[PushedImage], hosts: Hosts, trigger: Trigger | None) -> list[Candidate]:
    """Return the candidates among all triggers, or only `trigger` when the message came to its own link."""
    if not pushes:
        return []
    if trigger is not None:
        own = list(ImageSubscription.objects.filter(trigger=trigger))
        return make_candidates(pushes, [(row, own) for row in select_triggers().filter(pk=trigger.pk)], hosts)
    names = {name for push in pushes for name in hosts.list_names(ImageReference(push.host, push.path))}
    triggers = {f"trigger__{name}" for name in NEEDED_FIELDS}
    fields = ("repository", "condition", "pattern", "tags", "least_age_hours", *triggers)
    rows = ImageSubscription.objects.filter(repository__in=names, trigger__action=Action.REDEPLOY)
    rows = rows.annotate(may_be_frozen=can_be_frozen("trigger__application"))
    found = list(rows.select_related("trigger__application").only(*fields).order_by("pk"))
    watched: dict[Trigger, list[ImageSubscription]] = {}
    for row in found:
        row.trigger.may_be_frozen = row.may_be_frozen
        watched.setdefault(row.trigger, []).append(row)
    return make_candidates(pushes, list(watched.items()), hosts)


def make_candidates(
    pushes: Iterable[PushedImage], watched: Sequence[tuple[Trigger, list[ImageSubscription]]], hosts: Hosts
) -> list[Candidate]:
    """Pair the pushes with the triggers. A trigger without subscriptions follows the images that its services run.

    Locks the triggers' applications: call it in the transaction that makes the calls."""
    lock_applications({trigger.application_id for trigger, _ in watched})
    targets = load_targets([trigger for trigger, _ in watched], hosts)
    known = [
        (trigger, subscription)
        for trigger, rows in watched
        for subscription in (read_subscriptions(rows, hosts) or follow_services(targets[trigger.pk].images))
    ]
    return [
        Candidate(push, trigger, subscription, targets[trigger.pk])
        for push in pushes
        for trigger, subscription in known
        if push.is_of(subscription.repository)
    ]


def read_subscriptions(rows: Iterable[ImageSubscription], hosts: Hosts) -> list[Subscription]:
    return [
        Subscription(
            hosts.normalize(parse_reference(row.repository)),
            row.condition,
            row.pattern,
            tuple(row.tags),
            timedelta(hours=row.least_age_hours),
        )
        for row in rows
    ]


def load_targets(triggers: Sequence[Trigger], hosts: Hosts) -> dict[int, RedeployTarget]:
    """Return the targets by the trigger's id."""
    applications = {trigger.application_id for trigger in triggers}
    if not applications:
        return {}
    changing = find_changing(applications)
    images = load_images(applications, hosts)
    return {
        trigger.pk: RedeployTarget(
            trigger.application.name,
            tuple(image for image in images[trigger.application_id] if trigger.service_id in {None, image.service_id}),
            trigger.tag_pattern,
            trigger.application_id in changing,
        )
        for trigger in triggers
    }


def load_images(applications: Iterable[int], hosts: Hosts) -> dict[int, list[RunningImage]]:
    """Return the images by the application's id. An absent service runs nothing."""
    rows = Service.objects.filter(application_id__in=applications).exclude(status=Application.Status.ABSENT).order_by("pk")
    found: dict[int, list[RunningImage]] = {pk: [] for pk in applications}
    columns = ("application_id", "pk", "name", "image", "image_digests", "application__left_images", "least_age_label")
    for application, pk, name, image, digests, left_images, least_age in rows.values_list(*columns):
        left = read_left_images(left_images).get(name, ())
        if running := read_running_image(pk, name, image, digests, hosts, left):
            found[application].append(replace(running, least_age=least_age))
    return found


def find_changing(applications: Iterable[int]) -> set[int]:
    """Return the applications that a redeploy is changing, or has just changed since the inventory was last read."""
    now = timezone.now()
    ended = Q(state__in=(CallState.SUCCEEDED, CallState.FAILED, CallState.ROLLED_BACK), completed_at__gt=now - SETTLING)
    unseen = Q(completed_at__gt=F("application__cluster__synced_at")) | Q(application__cluster__synced_at__isnull=True)
    calls = TriggerCall.objects.filter(application_id__in=applications, action=Action.REDEPLOY)
    changing = calls.filter(Q(state=CallState.RUNNING) | (Q(queued_at__gt=now - LONGEST_CALL) & ended & unseen))
    return set(changing.values_list("application_id", flat=True))


def lock_applications(applications: Collection[int]) -> None:
    """Lock them always in the same order, so that two deliveries never wait for each other. SQLite has a single lock for
    everything, and the transaction holds it."""
    if applications and connection.features.has_select_for_update:
        list(Application.objects.select_for_update().filter(pk__in=applications).order_by("pk").values_list("pk"))
