"""Decide whether a pushed image redeploys what a trigger stands for. Pure: no database, no request.

Repositories and hosts are normalised as in `clusters.registry.reference`. In addition, every other host of a stored registry
is replaced by its own one (`Hosts`), so that two names of one image are equal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from clusters.registry.reference import (
    DOCKER_HUB,
    LENGTH_LIMIT,
    BadReference,
    ImageReference,
    make_reference,
    normalize_host,
    parse_reference,
)
from triggers.models import Decision, ImageSubscription
from triggers.pushes.side_products import explain_side_product
from triggers.tag_patterns import matches_pattern

Condition = ImageSubscription.Condition
TAGS_SHOWN = 5
LIBRARY = "library/"
HOST_LENGTH = 255
LEFT = (
    "Not triggered: {application} left this digest when its previous image was redeployed. "
    "A newer one is taken by itself, and Redeploy takes this one."
)


class Hosts:
    """The hosts of the stored registries. `hosts` maps a registry's own host to all the hosts that it answers to."""

    def __init__(self, hosts: Mapping[str, Iterable[str]]) -> None:
        self._own = {other: host for host, others in hosts.items() for other in others} | {host: host for host in hosts}

    def find(self, host: str) -> str:
        """Return the own host of the stored registry that answers to `host`; empty when there is none."""
        return self._own.get(host, "")

    def normalize(self, image: ImageReference) -> ImageReference:
        """Replace the host by the stored registry's own one. Raises BadReference."""
        own = self.find(image.host)
        return image if own in {"", image.host} else replace(make_reference(f"{own}/{image.path}"), tag=image.tag)

    def list_names(self, image: ImageReference) -> set[str]:
        """Return all repositories that `normalize` turns into this one."""
        hosts = {image.host, *(host for host, own in self._own.items() if own == image.host)}
        paths = {image.path, image.path.removeprefix(LIBRARY) if image.host == DOCKER_HUB else image.path}
        return {f"{host}/{path}" for host in hosts for path in paths}


@dataclass(frozen=True)
class PushedImage:
    """An image that a sender reports as pushed. `host`, `tag` and `digest` can be empty. Without a host only the path is
    compared."""

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        return f"{self.host}/{self.path}" if self.host else self.path

    def is_of(self, repository: ImageReference) -> bool:
        if self.host:
            return (self.host, self.path) == (repository.host, repository.path)
        names = {repository.path}
        if repository.host == DOCKER_HUB:
            names.add(repository.path.removeprefix(LIBRARY))
        return self.path in names


def locate_push(name: str, hosts: Hosts, registry: str = "", *, relayed: bool = False) -> tuple[str, str]:
    """Return host and path of the image that a sender calls `name`. Raises BadReference.

    `registry` is the own host of the registry whose link the sender called. The image is in that registry, unless the sender
    relays for others or names another stored registry. Without `registry` the host in the name counts, and can be empty."""
    if len(name) > LENGTH_LIMIT - HOST_LENGTH:
        raise BadReference(f"The name of an image has at most {LENGTH_LIMIT - HOST_LENGTH} characters.")
    first, _, rest = name.partition("/")
    named = normalize_host(first) if has_host(name) else ""
    path = rest if named else name
    counts = named and (relayed or not registry or hosts.find(named))
    if host := (hosts.find(named) or named) if counts else registry:
        found = make_reference(f"{host}/{path}")
        return found.host, found.path
    make_reference(path.lower())
    return "", path.lower()


def has_host(name: str) -> bool:
    """Apply Docker's rule: the first part is a host when it has a dot or a port, or is `localhost`."""
    first, slash, _ = name.partition("/")
    return bool(slash) and ("." in first or ":" in first or first.lower() == "localhost")


@dataclass(frozen=True)
class RunningImage:
    """The image that a service runs. `digests` are all those by which registries can know it. `left` are those of images that
    the service left for a previous one (triggers.images.left)."""

    service_id: int
    service: str
    reference: ImageReference
    digests: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    least_age: str = ""  # what its label says


@dataclass(frozen=True)
class Subscription:
    """A repository that a trigger follows, with the condition for tags; the fields are those of ImageSubscription."""

    repository: ImageReference
    condition: str = Condition.SERVICE_TAG
    pattern: str = ""
    tags: tuple[str, ...] = ()
    least_age: timedelta = timedelta(0)


@dataclass(frozen=True)
class RedeployTarget:
    """The part of an application that a trigger would redeploy, as the inventory shows it. While it is `changing`, the
    inventory can be out of date, so its digests prove nothing."""

    application: str
    images: tuple[RunningImage, ...] = ()
    tag_pattern: str = ""
    changing: bool = False


@dataclass(frozen=True)
class PushVerdict:
    """The decision about one push. TRIGGERED means that nothing speaks against a call so far.

    `tag`: the tag that the image changes to, empty to keep it. `service_ids`: make one call for each of these services; empty
    for one call about everything that the trigger redeploys."""

    decision: Decision
    message: str = ""
    tag: str = ""
    service_ids: tuple[int, ...] = ()


def follow_services(images: Iterable[RunningImage]) -> list[Subscription]:
    """Return the subscriptions of a trigger that has none of its own: it follows the tags that its services run."""
    return [Subscription(repository) for repository in dict.fromkeys(strip_tag(image.reference) for image in images)]


def strip_tag(reference: ImageReference) -> ImageReference:
    return replace(reference, tag="", digest="")


def decide_push(push: PushedImage, subscription: Subscription, target: RedeployTarget, takes_left: bool = False) -> PushVerdict:
    """Decide about a push to the subscription's repository, by the subscription's condition and by digest.

    `takes_left`: also take an image that was left for a previous one, because a person wants it."""
    images = [image for image in target.images if strip_tag(image.reference) == strip_tag(subscription.repository)]
    followed = [image for image in images if not image.reference.digest]
    if images and not followed:
        return PushVerdict(Decision.IMAGE, f"Not triggered: {target.application} runs {push.name} by digest, not by tag.")
    if refusal := refuse_tag(push.tag, subscription, target.application, followed):
        return refusal
    tag = choose_tag(push.tag, target.tag_pattern, followed)
    concerned = followed if tag else [image for image in followed if image.reference.wanted_tag == push.tag] or followed
    if runs_everywhere(push.digest, concerned) and not target.changing:
        return PushVerdict(Decision.UNCHANGED, f"Unchanged: {target.application} already has this digest.")
    if not takes_left and any(push.digest in image.left for image in concerned):
        return PushVerdict(Decision.LEFT, LEFT.format(application=target.application))
    change = f", and its image changes to tag {tag}" if tag else ""
    chosen = () if len(followed) == len(target.images) or not tag else tuple(image.service_id for image in followed)
    return PushVerdict(Decision.TRIGGERED, f"{target.application} is redeployed{change}.", tag, chosen)


def runs_everywhere(digest: str, images: Iterable[RunningImage]) -> bool:
    images = list(images)
    return bool(digest and images) and all(digest in image.digests for image in images)


def choose_tag(tag: str, pattern: str, images: Iterable[RunningImage]) -> str:
    """Return the pushed tag if the trigger allows it and not everything runs it yet; else empty: the tags that run stay."""
    is_new = any(image.reference.wanted_tag != tag for image in images)
    return tag if pattern and is_new and matches_pattern(pattern, tag) else ""


def refuse_tag(tag: str, subscription: Subscription, application: str, images: Iterable[RunningImage]) -> PushVerdict | None:
    if not tag:
        return make_tag_refusal("the manifest has no tag, like the parts of a multi-arch image.")
    if product := explain_side_product(tag, {image.reference.wanted_tag for image in images}):
        return make_tag_refusal(f"{tag} is {product}, not a new version.")
    match subscription.condition:
        case Condition.SERVICE_TAG:
            running = sorted({image.reference.wanted_tag for image in images})
            if not running:
                sentence = f"Not triggered: {application} has no service with an image of {subscription.repository.repository}."
                return PushVerdict(Decision.IMAGE, sentence)
            return None if tag in running else make_tag_refusal(f"{application} runs {describe_tags(running)}, not {tag}.")
        case Condition.PATTERN:
            pattern = subscription.pattern
            return None if matches_pattern(pattern, tag) else make_tag_refusal(f"{tag} does not match {pattern}.")
        case Condition.TAGS:
            wanted = subscription.tags
            return None if tag in wanted else make_tag_refusal(f"the trigger follows {describe_tags(wanted)}, not {tag}.")
    return None


def make_tag_refusal(reason: str) -> PushVerdict:
    return PushVerdict(Decision.TAG, f"Not triggered: {reason}")


def describe_tags(tags: Iterable[str]) -> str:
    listed = list(tags)
    more = ", …" if len(listed) > TAGS_SHOWN else ""
    return f"tag {', '.join(listed[:TAGS_SHOWN])}{more}" if listed else "no tag"


def list_polled_tags(subscription: Subscription, images: Iterable[RunningImage]) -> list[str]:
    """Return the tags that polling checks: the listed ones, else those that run and meet the condition. Polling never lists
    a registry's tags."""
    followed = [image for image in images if strip_tag(image.reference) == strip_tag(subscription.repository)]
    running = sorted({image.reference.wanted_tag for image in followed if not image.reference.digest})
    if subscription.condition == Condition.TAGS:
        return sorted(tag for tag in set(subscription.tags) if not explain_side_product(tag, running))
    return [tag for tag in running if refuse_tag(tag, subscription, "", followed) is None]


def read_running_image(
    service_id: int, service: str, image: str, digests: Iterable[str], hosts: Hosts, left: Iterable[str] = ()
) -> RunningImage | None:
    """Read a service's `image` and `image_digests` as the inventory has them; None when `image` is not a reference."""
    try:
        reference = parse_reference(image)
        found = replace(hosts.normalize(reference), digest=reference.digest)
    except BadReference:
        return None
    known = frozenset(str(digest).rpartition("@")[2] for digest in digests)
    return RunningImage(service_id, service, found, known, frozenset(left))
