"""Associated with Image Update: the repositories that a trigger can follow, whether it may, and how its subscriptions
change."""

from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from django.utils import timezone

from clusters.models import Application, Service
from clusters.registries import PushPermission, find_push_permission
from clusters.registry.errors import RegistryError
from clusters.registry.reference import BadReference, parse_reference
from triggers.models import Action, ImageSubscription, Trigger

LOOKUP_SECONDS = 10.0  # how long somebody waits for registries to answer
LOOKUPS_AT_ONCE = 8
CHOSEN = ("condition", "pattern", "tags", "poll_seconds")  # what people choose of a subscription
RIGHTS = tuple(f"triggers.{verb}_imagesubscription" for verb in ("add", "change", "delete"))


@dataclass(frozen=True)
class UsedRepository:
    """A repository and the names of the services that run an image of it. `tags`: those that they run; none where every one
    of them names a digest, which a push never changes."""

    name: str
    services: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def may_subscribe(user: Any, row: Application | Trigger) -> bool:
    """Whether the user may add, change and remove subscriptions of the trigger, or of triggers of the application."""
    return all(user.has_perm(right, row) for right in RIGHTS)


def list_services(application: Application, service: Service | None) -> list[Service]:
    """What a redeploy of the application is about, or of the one service of it."""
    return [service] if service else list(application.services.all())


def host_of(repository: str) -> str:
    """Of a repository as ImageReference has it."""
    return repository.partition("/")[0]


def list_used_repositories(services: Iterable[Service]) -> list[UsedRepository]:
    """By name. A service that is gone, or whose image cannot be read, has none."""
    found: dict[str, UsedRepository] = {}
    for service in services:
        try:
            reference = parse_reference(service.image)
        except BadReference:
            continue
        if service.status == Application.Status.ABSENT:
            continue
        used = found.setdefault(reference.repository, UsedRepository(reference.repository))
        used.services.append(service.name)
        if not reference.digest and reference.wanted_tag not in used.tags:
            used.tags.append(reference.wanted_tag)
    return [found[name] for name in sorted(found)]


def explain_unused(used: UsedRepository | None) -> str:
    """Why a push to a repository could never lead to a redeploy, as a sentence; empty where it can."""
    if used is None:
        return "No service that this trigger redeploys runs an image of this repository."
    if not used.tags:
        names = " and ".join(used.services) if len(used.services) < 3 else "Its services"
        word = "names" if len(used.services) == 1 else "name"
        return f"{names} {word} the image by its digest, which a push never changes."
    return ""


def find_permissions(repositories: Collection[str]) -> dict[str, PushPermission]:
    """Of each repository, asked side by side: what no registry has answered in time counts as refused. Not in a transaction."""
    if not repositories:
        return {}
    executor = ThreadPoolExecutor(min(len(repositories), LOOKUPS_AT_ONCE), thread_name_prefix="push-permission")
    asked = {repository: executor.submit(find_permission, repository) for repository in repositories}
    wait(asked.values(), timeout=LOOKUP_SECONDS)
    executor.shutdown(wait=False, cancel_futures=True)
    return {repository: read_permission(repository, answer) for repository, answer in asked.items()}


def find_permission(repository: str) -> PushPermission:
    """In a thread of its own, whose database connections end with it."""
    try:
        return find_push_permission(repository)
    except RegistryError as error:
        return PushPermission(False, error.message)
    finally:
        connections.close_all()


def read_permission(repository: str, answer: "Future[PushPermission]") -> PushPermission:
    if answer.done() and not answer.cancelled():
        return answer.result()
    return PushPermission(
        False, f"{host_of(repository)} has not answered within {LOOKUP_SECONDS:g} seconds. Ask again in a moment."
    )


def explain_refusals(trigger: Trigger, repositories: Collection[str]) -> dict[str, str]:
    """Why the trigger may not be subscribed anew to some of them, as sentences. Asks registries: not in a transaction."""
    if trigger.action != Action.REDEPLOY:
        return dict.fromkeys(repositories, "Only a redeploy trigger follows images.")
    used = {one.name: one for one in list_used_repositories(list_services(trigger.application, trigger.service))}
    unused = {name: reason for name in repositories if (reason := explain_unused(used.get(name)))}
    permissions = find_permissions([name for name in repositories if name not in unused])
    return unused | {name: explain_refused(one) for name, one in permissions.items() if not one.allowed}


def explain_refused(permission: PushPermission) -> str:
    return permission.reason or "The registry does not allow these credentials a push."


@dataclass
class SubscriptionChanges:
    """What is to become of a trigger's subscriptions; false where nothing is."""

    added: list[ImageSubscription] = field(default_factory=list)
    changed: list[ImageSubscription] = field(default_factory=list)
    removed: list[ImageSubscription] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def describe(self) -> dict[str, list[str]]:
        """For the audit log, what there is of it: repositories with their conditions."""
        parts = {
            "images_added": [describe_subscription(one) for one in self.added],
            "images_changed": [describe_subscription(one) for one in self.changed],
            "images_removed": [one.repository for one in self.removed],
        }
        return {name: lines for name, lines in parts.items() if lines}

    def save(self, trigger: Trigger) -> None:
        """Somebody else's change of the same subscription at the same time does no harm: the later one counts."""
        for subscription in (*self.added, *self.changed):
            values = {name: getattr(subscription, name) for name in CHOSEN} | schedule_polling(subscription)
            ImageSubscription.objects.update_or_create(trigger=trigger, repository=subscription.repository, defaults=values)
        ImageSubscription.objects.filter(pk__in=[subscription.pk for subscription in self.removed]).delete()


def compare_subscriptions(present: Iterable[ImageSubscription], wanted: Iterable[ImageSubscription]) -> SubscriptionChanges:
    """From what a trigger has to all that it shall have."""
    known = {subscription.repository: subscription for subscription in present}
    changes = SubscriptionChanges()
    for subscription in wanted:
        before = known.pop(subscription.repository, None)
        drop_unused_conditions(subscription)
        if before is None:
            changes.added.append(subscription)
        elif any(getattr(before, name) != getattr(subscription, name) for name in CHOSEN):
            changes.changed.append(subscription)
    changes.removed.extend(known.values())
    return changes


def drop_unused_conditions(subscription: ImageSubscription) -> None:
    """An expression or tags that do not count are not kept."""
    if subscription.condition != ImageSubscription.Condition.PATTERN:
        subscription.pattern = ""
    if subscription.condition != ImageSubscription.Condition.TAGS:
        subscription.tags = []


def schedule_polling(subscription: ImageSubscription) -> dict[str, Any]:
    """Looks begin at once and without what earlier ones met; where there are none any more nothing is due."""
    due = timezone.now() if subscription.poll_seconds else None
    return {"poll_due_at": due, "poll_failures": 0, "poll_problem": ""}


def describe_subscription(subscription: ImageSubscription) -> str:
    """`docker.io/library/shop: tags 1, 2; polled every 300 s`."""
    polled = f"; polled every {subscription.poll_seconds} s" if subscription.poll_seconds else ""
    return f"{subscription.repository}: {describe_condition(subscription)}{polled}"


def describe_condition(subscription: ImageSubscription) -> str:
    """`the tag that runs`, `every tag`, `tags that match v.*`, `tags 1, 2`."""
    match subscription.condition:
        case ImageSubscription.Condition.PATTERN:
            return f"tags that match {subscription.pattern}"
        case ImageSubscription.Condition.TAGS:
            return f"tag{'s' if len(subscription.tags) > 1 else ''} {', '.join(map(str, subscription.tags))}"
        case ImageSubscription.Condition.EVERY:
            return "every tag"
    return "the tag that runs"
