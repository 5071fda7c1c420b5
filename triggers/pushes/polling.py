"""Poll registries that cannot reach the console: a HEAD request for each tag, for each subscription at its own interval.

A digest is acted on once. When its call fails, people see that, and no later poll retries it. Several watchers can poll at the
same time: a watcher claims a subscription by moving the time of its next poll.
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
from clusters.waits import release_connection
from triggers.episodes.polling import note_polled
from triggers.freezes import refuses_now
from triggers.models import Action, Decision, Delivery, ImageSubscription
from triggers.payloads.media_types import name_side_product
from triggers.pushes.candidates import load_hosts, load_targets, read_subscriptions
from triggers.pushes.matching import PushedImage, Subscription, list_polled_tags
from triggers.pushes.settling import settle_polled

log = structlog.get_logger("windlass.polling")

SENDER = "poll"
JITTER = 0.1  # of an interval, either way
LONGEST_BACKOFF = 3600.0  # seconds, unless the interval itself is longer
LONGEST_RETRY_AFTER = 86_400.0  # seconds; a registry's Retry-After is obeyed up to this
PROBLEM_LENGTH = 500
# Errors of the whole registry: its other subscriptions are not polled in the same round.
REGISTRY_CODES = {"unreachable", "timeout", "tls", "rate_limited", "server_error", "helper_failed"}

REPOSITORY_CODES = {"not_found", "forbidden"}  # errors that say nothing about the registry


@dataclass
class RegistryRound:
    """The state of one registry during a round of polling. `stored` is None for a registry that is polled anonymously."""

    host: str
    stored: Registry | None
    limit: PullLimit | None = None
    problem: str = ""
    error: RegistryError | None = None


@dataclass
class PollResult:
    """The result of polling one subscription. `polled` is ImageSubscription.polled; `wait` is the least number of seconds
    until the next poll."""

    polled: dict[str, dict[str, str]] = field(default_factory=dict)
    problem: str = ""
    wait: float = 0.0


def poll_subscriptions() -> int:
    """Poll every subscription that is due, and call the triggers of new digests. Return how many were polled."""
    rounds: dict[str, RegistryRound] = {}
    polled = 0
    for subscription in list_due(timezone.now()):
        if claim_subscription(subscription):
            poll_subscription(subscription, rounds)
            polled += 1
    for state in rounds.values():
        note_polled(state.host, state.problem)
        if state.stored:
            keep_outcome(state.stored, state.limit, state.problem)
    return polled


def list_due(now: datetime) -> list[ImageSubscription]:
    """Return the subscriptions that are due, except those of triggers that would reject any call."""
    rows = ImageSubscription.objects.filter(
        Q(poll_due_at__isnull=True) | Q(poll_due_at__lte=now),
        poll_seconds__gt=0,
        trigger__enabled=True,
        trigger__action=Action.REDEPLOY,
        trigger__application__protected=False,
    )
    return list(rows.select_related("trigger__application").defer("trigger__secret").order_by("poll_due_at"))


def claim_subscription(subscription: ImageSubscription) -> bool:
    """Claim the subscription for this watcher. Return False when another watcher has it, or its interval was changed."""
    due = subscription.poll_due_at
    same = Q(poll_due_at=due) if due else Q(poll_due_at__isnull=True)
    rows = ImageSubscription.objects.filter(same, pk=subscription.pk, poll_seconds=subscription.poll_seconds)
    subscription.poll_due_at = next_poll(subscription.poll_seconds, 0)
    return rows.update(poll_due_at=subscription.poll_due_at) == 1


def next_poll(interval: float, failures: int, wait: float = 0.0) -> datetime:
    """Return when to poll next: after `interval` seconds, doubled with each failure in a row, with jitter, and never before
    `wait` seconds."""
    longest = max(interval, LONGEST_BACKOFF)
    seconds = min(interval * 2 ** min(failures, 20), longest)
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load
    return timezone.now() + timedelta(seconds=max(seconds * spread, wait))


def poll_subscription(subscription: ImageSubscription, rounds: dict[str, RegistryRound]) -> None:
    if refuses_now(subscription.trigger):
        return  # what is new is found when the freeze window has ended
    hosts = load_hosts()
    target = load_targets([subscription.trigger], hosts)[subscription.trigger_id]
    wanted = read_subscriptions([subscription], hosts)[0]
    tags = list_polled_tags(wanted, target.images)
    if not tags:
        name = target.application
        store_result(subscription, PollResult(problem=f"{name} runs no tag that meets the condition, so none is polled."))
        return
    host = wanted.repository.host
    if host not in rounds:
        rounds[host] = RegistryRound(host, find_registry(wanted.repository.repository))
    store_result(subscription, poll_tags(subscription, wanted, tags, rounds[host]))


def poll_tags(subscription: ImageSubscription, wanted: Subscription, tags: Iterable[str], state: RegistryRound) -> PollResult:
    known = {tag: seen for tag, seen in read_polled(subscription).items() if tag in tags}
    result = PollResult(polled=dict(known))
    if state.error:
        return note_error(result, state.error)
    try:
        access = open_access(state.stored) if state.stored else RegistryAccess(state.host)
        with RegistryClient(access) as client:
            for tag in tags:
                poll_tag(client, subscription, wanted, tag, result, state)
                if state.error:
                    break
    except RegistryError as error:
        note_failure(result, error, state)
    return result


def poll_tag(
    client: RegistryClient,
    subscription: ImageSubscription,
    wanted: Subscription,
    tag: str,
    result: PollResult,
    state: RegistryRound,
) -> None:
    seen = result.polled.get(tag, {})
    release_connection()
    try:
        found = client.read_tag(wanted.repository.path, tag, seen.get("etag", ""))
    except RegistryError as error:
        note_failure(result, error, state)
        return
    state.limit = found.limit or state.limit
    digest = found.digest if is_digest(found.digest) else ""
    if not digest or digest == seen.get("digest"):
        keep_seen(result, tag, found, seen.get("digest", ""))
        return
    if wanted.condition == ImageSubscription.Condition.TAGS and (product := find_side_product(client, wanted, digest)):
        result.problem = result.problem or f"{tag} is {product}, not a new version."
        keep_seen(result, tag, found, digest)
        return
    receipt = settle_polled(
        Delivery(received_at=timezone.now(), source=Delivery.Source.POLL, registry=state.stored, sender=SENDER, event="digest"),
        PushedImage(wanted.repository.host, wanted.repository.path, tag, digest),
        subscription,
    )
    if receipt is not None and receipt.delivery.decision == Decision.REJECTED:
        result.wait = max(result.wait, float(subscription.trigger.cooldown_seconds))  # then the digest is new again
        return
    keep_seen(result, tag, found, digest)


def find_side_product(client: RegistryClient, wanted: Subscription, digest: str) -> str:
    """Return what the manifest is if it is no image to run: `a Helm chart`. Empty when the registry does not say."""
    try:
        return name_side_product(*client.read_media_types(wanted.repository.path, digest))
    except RegistryError:
        return ""


def keep_seen(result: PollResult, tag: str, found: TagState, digest: str) -> None:
    etag = found.etag or ("" if found.digest else result.polled.get(tag, {}).get("etag", ""))
    result.polled[tag] = {"digest": digest, "etag": etag if digest else ""}


def read_polled(subscription: ImageSubscription) -> dict[str, dict[str, str]]:
    return subscription.polled if isinstance(subscription.polled, dict) else {}


def note_failure(result: PollResult, error: RegistryError, state: RegistryRound) -> None:
    if error.code in REGISTRY_CODES:
        state.error = error
    if error.code not in REPOSITORY_CODES:
        state.problem = error.message
    state.limit = error.limit or state.limit
    note_error(result, error)


def note_error(result: PollResult, error: RegistryError) -> PollResult:
    result.problem = result.problem or error.message
    result.wait = max(result.wait, min(float(error.retry_after or 0), LONGEST_RETRY_AFTER))
    return result


def store_result(subscription: ImageSubscription, result: PollResult) -> None:
    failures = subscription.poll_failures + 1 if result.problem else 0
    problem = result.problem.replace("\0", "")[:PROBLEM_LENGTH]
    if problem and problem != subscription.poll_problem:
        log.warning("polling failed", repository=subscription.repository, reason=problem)
    row = ImageSubscription.objects.filter(pk=subscription.pk)
    row.update(polled=result.polled, polled_at=timezone.now(), poll_failures=failures, poll_problem=problem)
    # A change of the subscription in the meantime has already set when the next poll is due.
    due = next_poll(subscription.poll_seconds, failures, result.wait)
    row.filter(poll_due_at=subscription.poll_due_at).update(poll_due_at=due)
