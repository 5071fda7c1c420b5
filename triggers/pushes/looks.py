"""Look for images that were too young when they were pushed or polled. A watcher does so, also where polling is off."""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from clusters.registries import find_registry
from clusters.registry.errors import RegistryError
from clusters.registry.reference import BadReference, ImageReference, parse_reference
from triggers.freezes import refuses_now
from triggers.models import AwaitedImage, Decision, Delivery, ImageSubscription
from triggers.pushes.ages import LOOK_AGAIN, read_digest
from triggers.pushes.candidates import load_hosts, make_candidates, select_triggers
from triggers.pushes.deliveries import store_delivery
from triggers.pushes.matching import PushedImage
from triggers.pushes.settling import settle_candidate

log = structlog.get_logger("windlass.polling")

SENDER, EVENT = "poll", "age"
CLAIM = timedelta(minutes=15)  # after which another watcher looks if this one was lost
REFUSED_AGAIN = timedelta(minutes=5)  # after a look whose call was rejected
FAILED_AGAIN = timedelta(minutes=1)  # doubled with each failure in a row, up to LOOK_AGAIN
GIVEN_UP = timedelta(days=7)  # after which an image that cannot be found is forgotten
PROBLEM_LENGTH = 500


def look_for_awaited_images() -> int:
    """Ask the registries about every image that is due, and call the triggers of those that are old enough. Return how many
    were looked for."""
    looked = 0
    for awaited in list(AwaitedImage.objects.filter(look_at__lte=timezone.now()).order_by("look_at")):
        if claim_look(awaited):
            look_for_image(awaited)
            looked += 1
    return looked


def claim_look(awaited: AwaitedImage) -> bool:
    """Claim the look for this watcher. Return False when another watcher has it, or a push came meanwhile."""
    due, awaited.look_at = awaited.look_at, timezone.now() + CLAIM
    return AwaitedImage.objects.filter(pk=awaited.pk, look_at=due).update(look_at=awaited.look_at) == 1


def look_for_image(awaited: AwaitedImage) -> None:
    trigger = select_triggers().filter(pk=awaited.trigger_id).first()
    if trigger is None:
        return
    if not trigger.enabled or trigger.application.protected or refuses_now(trigger):
        postpone(awaited, REFUSED_AGAIN)
        return
    try:
        wanted = load_hosts().normalize(parse_reference(awaited.repository))
        digest = read_digest(awaited.repository, awaited.tag)
    except (RegistryError, BadReference) as error:
        note_failure(awaited, str(error))
        return
    settle_look(awaited, wanted, digest)


def settle_look(awaited: AwaitedImage, wanted: ImageReference, digest: str) -> None:
    """Decide about the digest that the tag has now. Nothing is stored about one that was waited for and is still too young."""
    now = timezone.now()
    delivery = Delivery(
        received_at=now,
        source=Delivery.Source.POLL,
        registry=find_registry(awaited.repository),
        sender=SENDER,
        event=EVENT,
    )
    push = PushedImage(wanted.host, wanted.path, awaited.tag, digest)
    with transaction.atomic():
        trigger = select_triggers().filter(pk=awaited.trigger_id).first()
        if trigger is None:
            return
        own = list(ImageSubscription.objects.filter(trigger=trigger))
        candidates = make_candidates([push], [(trigger, own)], load_hosts())
        lines = [line for candidate in candidates for line in settle_candidate(delivery, candidate, None)]
        decisions = {Decision(line.decision) for line in lines}
        conclude(awaited, decisions)
        is_known = decisions <= {Decision.YOUNG} and digest == awaited.digest
        if lines and not is_known and decisions != {Decision.UNCHANGED}:
            store_delivery(delivery, lines)


def conclude(awaited: AwaitedImage, decisions: set[Decision]) -> None:
    """Forget the image, unless it is still too young or its call was rejected."""
    row = AwaitedImage.objects.filter(pk=awaited.pk)
    if Decision.YOUNG in decisions:
        row.update(failures=0, problem="")  # when to look again was set by the decision
    elif Decision.REJECTED in decisions:
        postpone(awaited, REFUSED_AGAIN)
    else:
        row.filter(look_at=awaited.look_at).delete()  # kept if a push came meanwhile


def note_failure(awaited: AwaitedImage, problem: str) -> None:
    """Look again later. An image that cannot be found for a week after it was due is forgotten."""
    log.warning("an image cannot be looked for", repository=awaited.repository, tag=awaited.tag, reason=problem)
    row = AwaitedImage.objects.filter(pk=awaited.pk)
    if is_given_up(awaited, timezone.now()):
        row.delete()
        return
    row.update(failures=awaited.failures + 1, problem=problem.replace("\0", "")[:PROBLEM_LENGTH])
    postpone(awaited, min(FAILED_AGAIN * 2 ** min(awaited.failures, 10), LOOK_AGAIN))


def is_given_up(awaited: AwaitedImage, now: datetime) -> bool:
    return max(awaited.taken_at or awaited.created_at, awaited.created_at) + GIVEN_UP < now


def postpone(awaited: AwaitedImage, wait: timedelta) -> None:
    """Look again after `wait`, unless a push has set another time meanwhile."""
    row = AwaitedImage.objects.filter(pk=awaited.pk, look_at=awaited.look_at)
    row.update(look_at=timezone.now() + wait)
