"""Associated with Image Update: the repositories that a trigger can follow, whether registries permit it, and changes of its
subscriptions."""

from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connections
from django.utils import timezone

from clusters.models import Application, Service
from clusters.registries import PushPermission, find_push_permission
from clusters.registry.errors import RegistryError
from clusters.registry.reference import BadReference, parse_reference
from clusters.waits import wait_for_registry
from triggers.models import Action, ImageSubscription, Trigger

LOOKUP_SECONDS = 10.0  # how long a person waits for registries to answer
LOOKUPS_AT_ONCE = 8
CHOSEN = ("condition", "pattern", "tags", "poll_seconds", "least_age_hours")  # the fields that people choose
RIGHTS = tuple(f"triggers.{verb}_imagesubscription" for verb in ("add", "change", "delete"))


@dataclass(frozen=True)
class UsedRepository:
    """A repository, the names of the services that run an image of it, and the tags that they run. `tags` is empty when all of
    them name a digest, which a push never changes. `is_local`: each of them runs an image that no registry gave the engine."""

    name: str
    services: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    is_local: bool = True


def may_subscribe(user: Any, row: Application | Trigger) -> bool:
    """Return whether the user may add, change and remove subscriptions of the trigger, or of the application's triggers."""
    return all(user.has_perm(right, row) for right in RIGHTS)


def list_redeployed_services(application: Application, service: Service | None) -> list[Service]:
    """Return the services that a redeploy of the application, or of that one service, is about."""
    return [service] if service else list(application.services.all())


def host_of(repository: str) -> str:
    """Return the host of a repository in ImageReference's form."""
    return repository.partition("/")[0]


def list_used_repositories(services: Iterable[Service]) -> list[UsedRepository]:
    """Return the repositories, sorted by name. Absent services and unreadable images are left out."""
    found: dict[str, UsedRepository] = {}
    for service in services:
        try:
            reference = parse_reference(service.image)
        except BadReference:
            continue
        if service.status == Application.Status.ABSENT:
            continue
        used = found.get(reference.repository) or UsedRepository(reference.repository)
        used.services.append(service.name)
        if not reference.digest and reference.wanted_tag not in used.tags:
            used.tags.append(reference.wanted_tag)
        is_local = bool(service.image_id) and not service.image_digests and not reference.digest
        found[used.name] = replace(used, is_local=used.is_local and is_local)
    return [found[name] for name in sorted(found)]


def explain_unused(used: UsedRepository | None) -> str:
    """Say why a push to the repository could never lead to a redeploy, as a sentence; empty when it can."""
    if used is None:
        return "No service that this trigger redeploys runs an image of this repository."
    if not used.tags:
        names = " and ".join(used.services) if len(used.services) < 3 else "Its services"
        verb = "names" if len(used.services) == 1 else "name"
        return f"{names} {verb} the image by digest, which a push never changes."
    return ""


def find_permissions(repositories: Collection[str]) -> dict[str, PushPermission]:
    """Ask the registries about each repository, side by side. No answer in time counts as refused, and so does a registry for
    which too many requests wait. Call it outside of a transaction."""
    with ExitStack() as waiting:
        refused = enter_registries(waiting, {host_of(repository) for repository in repositories})
        answers = ask_registries([repository for repository in repositories if host_of(repository) not in refused])
    return {name: answers.get(name) or refused[host_of(name)] for name in repositories}


def enter_registries(waiting: ExitStack, hosts: Collection[str]) -> dict[str, PushPermission]:
    """Hold a place at each of the registries for as long as `waiting` lasts. Return a refusal for each that has none."""
    refused = {}
    for host in sorted(hosts):
        try:
            waiting.enter_context(wait_for_registry(host))
        except RegistryError as error:
            refused[host] = PushPermission(False, error.message)
    return refused


def ask_registries(repositories: Collection[str]) -> dict[str, PushPermission]:
    if not repositories:
        return {}
    executor = ThreadPoolExecutor(min(len(repositories), LOOKUPS_AT_ONCE), thread_name_prefix="push-permission")
    answers = {repository: executor.submit(find_permission, repository) for repository in repositories}
    wait(answers.values(), timeout=LOOKUP_SECONDS)
    executor.shutdown(wait=False, cancel_futures=True)
    return {repository: read_permission(repository, answer) for repository, answer in answers.items()}


def find_permission(repository: str) -> PushPermission:
    """Ask one registry, in a thread of its own whose database connections are closed at the end."""
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
        False, f"{host_of(repository)} did not answer within {LOOKUP_SECONDS:g} seconds. Check again in a moment."
    )


def explain_refusals(trigger: Trigger, repositories: Collection[str]) -> dict[str, str]:
    """Say why the trigger cannot newly follow some of the repositories, as a sentence by repository. It asks registries: call
    it outside of a transaction."""
    if trigger.action != Action.REDEPLOY:
        return dict.fromkeys(repositories, "Only a redeploy trigger can follow images.")
    used = {one.name: one for one in list_used_repositories(list_redeployed_services(trigger.application, trigger.service))}
    unused = {name: reason for name in repositories if (reason := explain_unused(used.get(name)))}
    permissions = find_permissions([name for name in repositories if name not in unused])
    return unused | {name: explain_refused(one) for name, one in permissions.items() if not one.allowed}


def explain_refused(permission: PushPermission) -> str:
    return permission.reason or "The registry does not allow these credentials to push."


@dataclass
class SubscriptionChanges:
    """Changes of a trigger's subscriptions; false when there are none. `former`: what the changed ones were, by repository, as
    describe_subscription says it."""

    added: list[ImageSubscription] = field(default_factory=list)
    changed: list[ImageSubscription] = field(default_factory=list)
    removed: list[ImageSubscription] = field(default_factory=list)
    former: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def describe(self) -> dict[str, list[str]]:
        """Return the changes for the audit log, without empty lists: repositories, with their conditions."""
        parts = {
            "images_added": [describe_subscription(one) for one in self.added],
            "images_changed": [
                f"{self.former.get(one.repository, '?')} → {describe_subscription(one)}" for one in self.changed
            ],
            "images_removed": [describe_subscription(one) for one in self.removed],
        }
        return {name: lines for name, lines in parts.items() if lines}

    def save(self, trigger: Trigger) -> None:
        """Save the changes. Two changes of one subscription at the same time do no harm: the later one counts."""
        for subscription in (*self.added, *self.changed):
            values = {name: getattr(subscription, name) for name in CHOSEN} | schedule_polling(subscription)
            ImageSubscription.objects.update_or_create(trigger=trigger, repository=subscription.repository, defaults=values)
        ImageSubscription.objects.filter(pk__in=[subscription.pk for subscription in self.removed]).delete()


def compare_subscriptions(present: Iterable[ImageSubscription], wanted: Iterable[ImageSubscription]) -> SubscriptionChanges:
    """Return the changes that turn the present subscriptions into exactly the wanted ones."""
    known = {subscription.repository: subscription for subscription in present}
    changes = SubscriptionChanges()
    for subscription in wanted:
        before = known.pop(subscription.repository, None)
        drop_unused_conditions(subscription)
        if before is None:
            changes.added.append(subscription)
        elif any(getattr(before, name) != getattr(subscription, name) for name in CHOSEN):
            changes.changed.append(subscription)
            changes.former[subscription.repository] = describe_subscription(before)
    changes.removed.extend(known.values())
    return changes


def drop_unused_conditions(subscription: ImageSubscription) -> None:
    """Clear an expression or tags that the condition does not use."""
    if subscription.condition != ImageSubscription.Condition.PATTERN:
        subscription.pattern = ""
    if subscription.condition != ImageSubscription.Condition.TAGS:
        subscription.tags = []


def schedule_polling(subscription: ImageSubscription) -> dict[str, Any]:
    """Return field values that start polling at once, without earlier failures, or that stop it."""
    due = timezone.now() if subscription.poll_seconds else None
    return {"poll_due_at": due, "poll_failures": 0, "poll_problem": ""}


def describe_subscription(subscription: ImageSubscription) -> str:
    """Return `docker.io/library/shop: tags 1, 2; polled every 300 s`."""
    polled = f"; polled every {subscription.poll_seconds} s" if subscription.poll_seconds else ""
    aged = f"; at least {subscription.least_age_hours} h old" if subscription.least_age_hours else ""
    return f"{subscription.repository}: {describe_condition(subscription)}{polled}{aged}"


def describe_condition(subscription: ImageSubscription) -> str:
    """Return `the tag that runs`, `every tag`, `tags that match v.*` or `tags 1, 2`."""
    match subscription.condition:
        case ImageSubscription.Condition.PATTERN:
            return f"tags that match {subscription.pattern}"
        case ImageSubscription.Condition.TAGS:
            return f"tag{'s' if len(subscription.tags) > 1 else ''} {', '.join(map(str, subscription.tags))}"
        case ImageSubscription.Condition.EVERY:
            return "every tag"
    return "the tag that runs"
