"""Which trigger a pushed image concerns, and what is to be done about it. Pure: no database, no request.

Repositories and hosts are in the form of `clusters.registry.reference`, with the other hosts of a stored registry replaced by
its own (`Hosts`), so that two names of one image are equal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import re2

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
from triggers.validation import compile_pattern

Condition = ImageSubscription.Condition
TAGS_SHOWN = 5
LIBRARY = "library/"
HOST_LENGTH = 255


class Hosts:
    """The hosts of the stored registries. `hosts`: by a registry's own host, all that it answers to."""

    def __init__(self, hosts: Mapping[str, Iterable[str]]) -> None:
        self._own = {other: host for host, others in hosts.items() for other in others} | {host: host for host in hosts}

    def find(self, host: str) -> str:
        """The own host of the stored registry that answers to it; empty where none does."""
        return self._own.get(host, "")

    def normalize(self, image: ImageReference) -> ImageReference:
        """Raises BadReference."""
        own = self.find(image.host)
        return image if own in {"", image.host} else replace(make_reference(f"{own}/{image.path}"), tag=image.tag)

    def list_names(self, image: ImageReference) -> set[str]:
        """All repositories that `normalize` makes this one of."""
        hosts = {image.host, *(host for host, own in self._own.items() if own == image.host)}
        paths = {image.path, image.path.removeprefix(LIBRARY) if image.host == DOCKER_HUB else image.path}
        return {f"{host}/{path}" for host in hosts for path in paths}


@dataclass(frozen=True)
class PushedImage:
    """`host` is empty where the sender tells none: then the path alone is compared. `tag` and `digest` may be empty."""

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
    """Host and path of what a sender calls `name`. `registry`: the own host of the registry whose link the sender called; then
    the image is in that one, unless the sender relays for others, or names another stored registry. Without it the told host
    counts, and is empty where none is told. Raises BadReference."""
    if len(name) > LENGTH_LIMIT - HOST_LENGTH:
        raise BadReference(f"The name of an image has at most {LENGTH_LIMIT - HOST_LENGTH} characters.")
    first, _, rest = name.partition("/")
    told = normalize_host(first) if tells_host(name) else ""
    path = rest if told else name
    counts = told and (relayed or not registry or hosts.find(told))
    if host := (hosts.find(told) or told) if counts else registry:
        found = make_reference(f"{host}/{path}")
        return found.host, found.path
    make_reference(path.lower())
    return "", path.lower()


def tells_host(name: str) -> bool:
    """Docker's rule: a first part with a dot or a port, or `localhost`."""
    first, slash, _ = name.partition("/")
    return bool(slash) and ("." in first or ":" in first or first.lower() == "localhost")


@dataclass(frozen=True)
class RunningImage:
    """What a service runs. `digests`: all by which registries may know it."""

    service_id: int
    service: str
    reference: ImageReference
    digests: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Subscription:
    repository: ImageReference
    condition: str = Condition.SERVICE_TAG
    pattern: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A redeploy trigger with what it would redeploy. `changing`: what runs may be something else by now than the inventory
    says, so that it proves nothing."""

    application: str
    images: tuple[RunningImage, ...] = ()
    tag_pattern: str = ""
    changing: bool = False


@dataclass(frozen=True)
class Verdict:
    """TRIGGERED: nothing speaks against a call so far. `tag`: the image changes to it. `service_ids`: a call for each of these,
    where it must not be about all that the trigger redeploys."""

    decision: Decision
    message: str = ""
    tag: str = ""
    service_ids: tuple[int, ...] = ()


def follow_services(images: Iterable[RunningImage]) -> list[Subscription]:
    """What a trigger is subscribed to that has no subscription of its own: the tags that its services run."""
    return [Subscription(repository) for repository in dict.fromkeys(bare(image.reference) for image in images)]


def bare(reference: ImageReference) -> ImageReference:
    return replace(reference, tag="", digest="")


def decide_push(push: PushedImage, subscription: Subscription, target: Target) -> Verdict:
    """About a push to the subscription's repository, by condition and digest."""
    images = [image for image in target.images if bare(image.reference) == bare(subscription.repository)]
    followed = [image for image in images if not image.reference.digest]
    if images and not followed:
        return Verdict(Decision.IMAGE, f"Not triggered: {target.application} runs {push.name} by its digest, not by a tag.")
    if refusal := refuse_tag(push.tag, subscription, target.application, followed):
        return refusal
    tag = choose_tag(push.tag, target.tag_pattern, followed)
    concerned = followed if tag else [image for image in followed if image.reference.wanted_tag == push.tag] or followed
    if runs_everywhere(push.digest, concerned) and not target.changing:
        return Verdict(Decision.UNCHANGED, f"Unchanged: {target.application} runs this digest already.")
    change = f", and its image changes to tag {tag}" if tag else ""
    chosen = () if len(followed) == len(target.images) or not tag else tuple(image.service_id for image in followed)
    return Verdict(Decision.TRIGGERED, f"{target.application} is redeployed{change}.", tag, chosen)


def runs_everywhere(digest: str, images: Iterable[RunningImage]) -> bool:
    images = list(images)
    return bool(digest and images) and all(digest in image.digests for image in images)


def choose_tag(tag: str, pattern: str, images: Iterable[RunningImage]) -> str:
    """The pushed tag where the trigger allows it and not everything runs it; else the reference that runs is redeployed."""
    is_new = any(image.reference.wanted_tag != tag for image in images)
    return tag if pattern and is_new and matches_pattern(pattern, tag) else ""


def refuse_tag(tag: str, subscription: Subscription, application: str, images: Iterable[RunningImage]) -> Verdict | None:
    if not tag:
        return refuse("the manifest came without a tag, as the parts of a multi-arch image do.")
    match subscription.condition:
        case Condition.SERVICE_TAG:
            running = sorted({image.reference.wanted_tag for image in images})
            if not running:
                sentence = f"Not triggered: {application} has no service with an image of {subscription.repository.repository}."
                return Verdict(Decision.IMAGE, sentence)
            return None if tag in running else refuse(f"{application} runs {describe_tags(running)}, not {tag}.")
        case Condition.PATTERN:
            return (
                None if matches_pattern(subscription.pattern, tag) else refuse(f"{tag} does not match {subscription.pattern}.")
            )
        case Condition.TAGS:
            wanted = subscription.tags
            return None if tag in wanted else refuse(f"the trigger waits for {describe_tags(wanted)}, not {tag}.")
    return None


def refuse(reason: str) -> Verdict:
    return Verdict(Decision.TAG, f"Not triggered: {reason}")


def describe_tags(tags: Iterable[str]) -> str:
    listed = list(tags)
    more = ", …" if len(listed) > TAGS_SHOWN else ""
    return f"tag {', '.join(listed[:TAGS_SHOWN])}{more}" if listed else "no tag"


def matches_pattern(pattern: str, tag: str) -> bool:
    """False too for an expression that cannot be used."""
    try:
        return compile_pattern(pattern).fullmatch(tag) is not None
    except re2.error:
        return False


def list_polled_tags(subscription: Subscription, images: Iterable[RunningImage]) -> list[str]:
    """The tags that polling asks the registry for: listed ones, else those that run and that the condition holds for. A
    registry is not asked which tags it has."""
    if subscription.condition == Condition.TAGS:
        return sorted(set(subscription.tags))
    followed = [image for image in images if bare(image.reference) == bare(subscription.repository)]
    running = sorted({image.reference.wanted_tag for image in followed if not image.reference.digest})
    return [tag for tag in running if refuse_tag(tag, subscription, "", followed) is None]


def read_running_image(service_id: int, service: str, image: str, digests: Iterable[str], hosts: Hosts) -> RunningImage | None:
    """Of a service as the inventory has it (`image`, `image_digests`); None for what is no image reference."""
    try:
        reference = parse_reference(image)
        found = replace(hosts.normalize(reference), digest=reference.digest)
    except BadReference:
        return None
    known = frozenset(str(digest).rpartition("@")[2] for digest in digests)
    return RunningImage(service_id, service, found, known)
