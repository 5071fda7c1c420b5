"""Asking registries that cannot reach the console: by HEAD, tag by tag, for each subscription at its own interval.

A digest is acted upon once: what came of the call is for people to see, and not tried again at each look. Several watchers may
poll at the same time; a subscription is claimed by moving its next look.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db.models import Q
from django.utils import timezone

from clusters.models import Registry
from clusters.registries import find_registry, keep_outcome, open_access
from clusters.registry.client import PullLimit, RegistryAccess, RegistryClient, TagState
from clusters.registry.errors import RegistryError
from clusters.registry.reference import is_digest
from triggers.models import Action, Decision, Delivery, ImageSubscription
from triggers.pushes.cases import load_hosts, load_targets, read_subscriptions
from triggers.pushes.deliveries import settle_find
from triggers.pushes.matching import PushedImage, Subscription, list_polled_tags

log = structlog.get_logger("windlass.polling")

SENDER = "poll"
JITTER = 0.1  # of an interval, either way
LONGEST_BACKOFF = 3600.0  # seconds, unless the interval itself is longer
LONGEST_RETRY_AFTER = 86_400.0  # seconds that a registry's word is taken for
PROBLEM_LENGTH = 500
# What ails the whole registry: its other subscriptions are not asked for in the same round.
REGISTRY_CODES = {"unreachable", "timeout", "tls", "rate_limited", "server_error", "helper_failed"}

REPOSITORY_CODES = {"not_found", "forbidden"}  # what says nothing about the registry


@dataclass
class RegistryRound:
    """What one round has met at a registry. `stored`: None for one that is asked anonymously."""

    host: str
    stored: Registry | None
    limit: PullLimit | None = None
    problem: str = ""
    error: RegistryError | None = None


@dataclass
class Look:
    """What one subscription's look has found. `polled` as ImageSubscription has it; `wait`: seconds that the next one waits
    for at least."""

    polled: dict[str, dict[str, str]] = field(default_factory=dict)
    problem: str = ""
    wait: float = 0.0


def poll_subscriptions() -> int:
    """Look at every tag that is due, and call what a new digest concerns. Returns how many subscriptions were looked at."""
    rounds: dict[str, RegistryRound] = {}
    looked = 0
    for subscription in list_due(timezone.now()):
        if claim_subscription(subscription):
            poll_subscription(subscription, rounds)
            looked += 1
    for met in rounds.values():
        if met.stored:
            keep_outcome(met.stored, met.limit, met.problem)
    return looked


def list_due(now: datetime) -> list[ImageSubscription]:
    """Without those of triggers that would reject the call whatever is found."""
    rows = ImageSubscription.objects.filter(
        Q(poll_due_at__isnull=True) | Q(poll_due_at__lte=now),
        poll_seconds__gt=0,
        trigger__enabled=True,
        trigger__action=Action.REDEPLOY,
        trigger__application__protected=False,
    )
    return list(rows.select_related("trigger__application").defer("trigger__secret").order_by("poll_due_at"))


def claim_subscription(subscription: ImageSubscription) -> bool:
    """False where another watcher looks already, or somebody has changed the interval."""
    due = subscription.poll_due_at
    same = Q(poll_due_at=due) if due else Q(poll_due_at__isnull=True)
    rows = ImageSubscription.objects.filter(same, pk=subscription.pk, poll_seconds=subscription.poll_seconds)
    subscription.poll_due_at = next_look(subscription.poll_seconds, 0)
    return rows.update(poll_due_at=subscription.poll_due_at) == 1


def next_look(interval: float, failures: int, wait: float = 0.0) -> datetime:
    """The interval, doubled with each failure in a row; at least `wait` seconds. With jitter, never earlier than `wait`."""
    longest = max(interval, LONGEST_BACKOFF)
    seconds = min(interval * 2 ** min(failures, 20), longest)
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load
    return timezone.now() + timedelta(seconds=max(seconds * spread, wait))


def poll_subscription(subscription: ImageSubscription, rounds: dict[str, RegistryRound]) -> None:
    hosts = load_hosts()
    target = load_targets([subscription.trigger], hosts)[subscription.trigger_id]
    wanted = read_subscriptions([subscription], hosts)[0]
    tags = list_polled_tags(wanted, target.images)
    if not tags:
        name = target.application
        store_look(subscription, Look(problem=f"{name} runs no tag that the condition holds for: there is none to ask for."))
        return
    host = wanted.repository.host
    if host not in rounds:
        rounds[host] = RegistryRound(host, find_registry(wanted.repository.repository))
    store_look(subscription, look_at_tags(subscription, wanted, tags, rounds[host]))


def look_at_tags(subscription: ImageSubscription, wanted: Subscription, tags: Iterable[str], met: RegistryRound) -> Look:
    known = {tag: seen for tag, seen in read_polled(subscription).items() if tag in tags}
    look = Look(polled=dict(known))
    if met.error:
        return note_error(look, met.error)
    try:
        access = open_access(met.stored) if met.stored else RegistryAccess(met.host)
        with RegistryClient(access) as client:
            for tag in tags:
                look_at_tag(client, subscription, wanted, tag, look, met)
                if met.error:
                    break
    except RegistryError as error:
        note_failure(look, error, met)
    return look


def look_at_tag(
    client: RegistryClient, subscription: ImageSubscription, wanted: Subscription, tag: str, look: Look, met: RegistryRound
) -> None:
    seen = look.polled.get(tag, {})
    try:
        state = client.read_tag(wanted.repository.path, tag, seen.get("etag", ""))
    except RegistryError as error:
        note_failure(look, error, met)
        return
    met.limit = state.limit or met.limit
    digest = state.digest if is_digest(state.digest) else ""
    if not digest or digest == seen.get("digest"):
        keep_seen(look, tag, state, seen.get("digest", ""))
        return
    delivery = settle_find(
        Delivery(received_at=timezone.now(), source=Delivery.Source.POLL, registry=met.stored, sender=SENDER, event="digest"),
        PushedImage(wanted.repository.host, wanted.repository.path, tag, digest),
        subscription,
    )
    if delivery is not None and delivery.decision == Decision.REJECTED:
        look.wait = max(look.wait, float(subscription.trigger.cooldown_seconds))  # then it is news again
        return
    keep_seen(look, tag, state, digest)


def keep_seen(look: Look, tag: str, state: TagState, digest: str) -> None:
    etag = state.etag or ("" if state.digest else look.polled.get(tag, {}).get("etag", ""))
    look.polled[tag] = {"digest": digest, "etag": etag if digest else ""}


def read_polled(subscription: ImageSubscription) -> dict[str, dict[str, str]]:
    return subscription.polled if isinstance(subscription.polled, dict) else {}


def note_failure(look: Look, error: RegistryError, met: RegistryRound) -> None:
    if error.code in REGISTRY_CODES:
        met.error = error
    if error.code not in REPOSITORY_CODES:
        met.problem = error.message
    met.limit = error.limit or met.limit
    note_error(look, error)


def note_error(look: Look, error: RegistryError) -> Look:
    look.problem = look.problem or error.message
    look.wait = max(look.wait, min(float(error.retry_after or 0), LONGEST_RETRY_AFTER))
    return look


def store_look(subscription: ImageSubscription, look: Look) -> None:
    failures = subscription.poll_failures + 1 if look.problem else 0
    problem = look.problem.replace("\0", "")[:PROBLEM_LENGTH]
    if problem and problem != subscription.poll_problem:
        log.warning("polling failed", repository=subscription.repository, reason=problem)
    row = ImageSubscription.objects.filter(pk=subscription.pk)
    row.update(polled=look.polled, polled_at=timezone.now(), poll_failures=failures, poll_problem=problem)
    # Whoever changed the subscription meanwhile has said when the next look is due.
    due = next_look(subscription.poll_seconds, failures, look.wait)
    row.filter(poll_due_at=subscription.poll_due_at).update(poll_due_at=due)
