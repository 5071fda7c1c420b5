"""The least age of an image: how long ago Windlass must have seen its digest before a push or a poll takes it.

Who publishes a bad image can write any date into it, and can announce a digest before it exists. So neither the image's own
date nor a message counts: an image is as old as the time since Windlass itself first saw its digest in the registry. A message
only makes it look. What a call was judged by is kept with it, and a worker asks once more before it begins (`check_age`): a tag
can get another image while the call waits.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from clusters.batches import delete_in_batches
from clusters.engine.errors import PlanRefused
from clusters.registries import find_registry, open_access
from clusters.registry.client import RegistryAccess, RegistryClient
from clusters.registry.errors import RegistryError
from clusters.registry.reference import is_digest, parse_reference
from clusters.waits import release_connection
from triggers.models import AwaitedImage, Delivery, SeenImage, TriggerCall
from triggers.pushes.candidates import Candidate
from triggers.pushes.matching import strip_tag
from triggers.reasons import Reason
from triggers.timing.labels import AGE_LABEL, AGE_MAXIMUM, BadFreeze, read_age
from triggers.timing.spans import write_moment

LOOK_AGAIN = timedelta(hours=1)  # at most between two looks: the tag may have got another image meanwhile
KEPT = 2 * AGE_MAXIMUM  # for which it is known when a digest was first seen


@dataclass(frozen=True)
class AgeVerdict:
    """`sentence` says why the image is not taken yet; empty if it is. `judged` is TriggerCall.judged_image."""

    sentence: str = ""
    judged: dict[str, Any] | None = None


def judge_age(delivery: Delivery, candidate: Candidate) -> AgeVerdict:
    """Judge a push that would call the trigger. Where it is too young, the registry is asked again in time. Call it in the
    transaction that makes the calls."""
    age, problem = find_least_age(candidate)
    if not age:
        return AgeVerdict()
    now, push = timezone.now(), candidate.push
    if delivery.source != Delivery.Source.POLL or not push.digest:
        known = SeenImage.objects.filter(repository=candidate.image, digest=push.digest).first() if push.digest else None
        taken_at = (known.first_seen_at if known else now) + age
        await_image(candidate, taken_at, look_at=now)
        if taken_at <= now and not problem:
            return AgeVerdict("The registry is asked whether the tag has this image, which is old enough; then it is taken.")
        return AgeVerdict(describe_young(taken_at, age, problem))
    first_seen = note_seen(candidate.image, push.digest, now)
    if first_seen + age <= now and not problem:
        judged = {"repository": candidate.image, "tag": push.tag, "digest": push.digest, "hours": age / timedelta(hours=1)}
        return AgeVerdict(judged=judged)
    taken_at, next_look = first_seen + age, now + LOOK_AGAIN
    await_image(candidate, taken_at, look_at=next_look if problem else min(taken_at, next_look))
    return AgeVerdict(describe_young(taken_at, age, problem))


def find_least_age(candidate: Candidate) -> tuple[timedelta, str]:
    """Return the greatest of the ages that the subscription and the services' labels ask for, and why a label cannot be read.
    Such a label asks for the greatest age there is."""
    repository = strip_tag(candidate.subscription.repository)
    labels = {image.least_age for image in candidate.target.images if strip_tag(image.reference) == repository}
    ages, problem = [candidate.subscription.least_age], ""
    for label in sorted(labels):
        try:
            ages.append(read_age(label))
        except BadFreeze as error:
            ages.append(AGE_MAXIMUM)
            problem = f"The label {AGE_LABEL} cannot be read, so no image is taken: {error}"
    return max(ages), problem


def describe_young(taken_at: datetime, age: timedelta, problem: str = "") -> str:
    """Say when the image is taken."""
    hours = round(age / timedelta(hours=1))
    return problem or (
        f"Too young: images are taken {hours} h after Windlass first saw them. This one is taken at "
        f"{write_moment(taken_at, 'UTC')} at the earliest, if the tag still has it."
    )


def note_seen(repository: str, digest: str, now: datetime) -> datetime:
    """Return when the digest was first seen, which is now for a new one."""
    row, _ = SeenImage.objects.get_or_create(repository=repository, digest=digest, defaults={"first_seen_at": now})
    return row.first_seen_at


def await_image(candidate: Candidate, taken_at: datetime, look_at: datetime) -> None:
    """Have the registry asked at that time."""
    push = candidate.push
    values = {"digest": push.digest, "taken_at": taken_at, "look_at": look_at}
    AwaitedImage.objects.update_or_create(trigger=candidate.trigger, repository=candidate.image, tag=push.tag, defaults=values)


def check_age(call: TriggerCall) -> None:
    """Make sure that the tag still has the image that was judged, or another one that is old enough. Raises PlanRefused.

    What has begun is not checked again."""
    judged = call.judged_image
    if not judged or call.plan:
        return
    repository, tag, age = judged["repository"], judged["tag"], timedelta(hours=judged["hours"])
    try:
        digest = read_digest(repository, tag)
    except RegistryError as error:
        raise PlanRefused(f"Whether {tag} is old enough cannot be found out: {error.message}", code=Reason.TOO_YOUNG) from error
    if digest == judged["digest"]:
        return
    now = timezone.now()
    first_seen = note_seen(repository, digest, now)
    if first_seen + age <= now:
        return
    if call.trigger_id:
        AwaitedImage.objects.update_or_create(
            trigger_id=call.trigger_id,
            repository=repository,
            tag=tag,
            defaults={"digest": digest, "taken_at": first_seen + age, "look_at": min(first_seen + age, now + LOOK_AGAIN)},
        )
    raise PlanRefused(f"{tag} has got another image meanwhile. {describe_young(first_seen + age, age)}", code=Reason.TOO_YOUNG)


def read_digest(repository: str, tag: str) -> str:
    """Return the digest that the tag has now. Raises RegistryError."""
    reference = parse_reference(repository)
    stored = find_registry(repository)
    access = open_access(stored) if stored else RegistryAccess(reference.host)
    release_connection()
    with RegistryClient(access) as client:
        found = client.read_tag(reference.path, tag, "").digest
    if not is_digest(found):
        raise RegistryError(f"{reference.host} names no digest of {tag}.", "bad_answer")
    return found


def prune_seen_images() -> int:
    """Forget digests that were first seen long ago. One that is seen again after that counts as new."""
    return delete_in_batches(SeenImage.objects.filter(first_seen_at__lt=timezone.now() - KEPT).order_by("first_seen_at"))
