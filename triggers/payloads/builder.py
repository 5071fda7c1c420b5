"""Build a Payload while a sender's message is read."""

from collections import Counter
from dataclasses import replace
from typing import Any

from clusters.registry.reference import PATH, BadReference, is_digest, is_tag, normalize_host
from triggers.payloads.fields import clean, is_usable_host, quote_value, split_reference, text
from triggers.payloads.payload import Payload, Push

READ_MAXIMUM = 1_000  # events, resources or tags of one message that are read
SENTENCES_MAXIMUM = 20
NAME_LENGTH, DIGEST_LENGTH, EVENT_LENGTH, DELIVERY_LENGTH = 255, 160, 64, 255


class PayloadBuilder:
    """Collects the pushes of a message, and sentences about everything else in it. Bad references are passed over; no method
    raises."""

    def __init__(self, sender: str, event: Any = "", delivery_id: Any = "") -> None:
        self.sender, self.event, self.delivery_id = sender, event, delivery_id
        self._pushes: dict[Push, None] = {}
        self._passed_over: Counter[str] = Counter()
        self._concerns_images = True

    def add_push(self, path: Any, tag: Any = None, digest: Any = None, host: Any = "", *, host_counts: bool = False) -> None:
        """Add a pushed image; the values are the sender's own, of any type."""
        try:
            self._pushes[replace(make_push(path, tag, digest, host), host_counts=host_counts)] = None
        except BadReference as error:
            self.pass_over(f"A push of {quote_value(path)} was passed over: {error}")

    def add_reference(self, reference: Any, tag: Any = None, digest: Any = None) -> None:
        """Add a pushed image by its reference `host/path:tag@digest`. A separate tag or digest overrides its own."""
        if not text(reference):
            self.pass_over(f"The image is {quote_value(reference)}; its reference was expected.")
            return
        host, path, own_tag, own_digest = split_reference(text(reference)[: 4 * NAME_LENGTH])
        self.add_push(path, own_tag if tag in (None, "") else tag, own_digest if digest in (None, "") else digest, host)

    def pass_over(self, sentence: str) -> None:
        self._passed_over[sentence] += 1

    def pass_over_event(self, event: Any, about: Any = None) -> None:
        self.pass_over(f"{quote_value(event)}{f' of {quote_value(about)}' if about else ''} is not a push of an image.")

    def finish_unrelated(self, sentence: str) -> Payload:
        """Finish a message that is not about images."""
        self.pass_over(sentence)
        self._concerns_images = False
        return self.finish()

    def take_list(self, values: Any) -> list[Any]:
        """Return the first READ_MAXIMUM values of a list; none of anything else."""
        if not isinstance(values, list):
            self.pass_over(f"There is {quote_value(values)} where a list was expected.")
            return []
        if len(values) > READ_MAXIMUM:
            self.pass_over(f"Of {len(values):,} entries only the first {READ_MAXIMUM:,} were read.")
        return values[:READ_MAXIMUM]

    def finish(self) -> Payload:
        delivery_id = clean(text(self.delivery_id), DELIVERY_LENGTH + 1)
        return Payload(
            sender=self.sender,
            event=clean(text(self.event), EVENT_LENGTH),
            # A longer id is left out: shortened, it could equal another one.
            delivery_id=delivery_id if len(delivery_id) <= DELIVERY_LENGTH else "",
            pushes=tuple(self._pushes),
            passed_over=tuple(list_sentences(self._passed_over)),
            concerns_images=self._concerns_images,
        )


def make_push(path: Any, tag: Any, digest: Any, host: Any) -> Push:
    """Validate the values and return the push. Raises BadReference.

    Without a host that others can use, its name is the path alone. Without a tag, or with a digest in the tag's place, it is
    a manifest without a tag."""
    usable_host, name = check_host(host), check_path(path)
    tag, digest = "" if tag is None else tag, "" if digest is None else digest
    if isinstance(tag, str) and (tag.startswith("sha256:") or tag == digest):
        tag, digest = "", digest or tag
    if tag != "" and not (isinstance(tag, str) and is_tag(tag)):
        raise BadReference(f"{quote_value(tag)} is not a tag.")
    if digest != "" and not (isinstance(digest, str) and len(digest) <= DIGEST_LENGTH and is_digest(digest)):
        raise BadReference(f"{quote_value(digest)} is not a digest.")
    return Push(f"{usable_host}/{name}" if usable_host else name, tag, digest)


def check_path(path: Any) -> str:
    """Return the path in lower case: registries store it so, however users write it. Raises BadReference."""
    if not isinstance(path, str) or len(path) > NAME_LENGTH or not PATH.fullmatch(path.lower()):
        raise BadReference("that is not the name of an image.")
    return path.lower()


def check_host(host: Any) -> str:
    """Return the host; empty when it is missing or known only in the sender's own network. Raises BadReference."""
    if host in (None, ""):
        return ""
    try:
        found = normalize_host(host[: 4 * NAME_LENGTH]) if isinstance(host, str) else ""
    except BadReference:
        found = ""
    if not found:
        raise BadReference(f"{quote_value(host)} is not the host of a registry.")
    return found if is_usable_host(found) else ""


def list_sentences(sentences: Counter[str]) -> list[str]:
    lines = [f"{line} ({count} times)" if count > 1 else line for line, count in sentences.items()]
    more = len(lines) - SENTENCES_MAXIMUM
    return lines if more <= 0 else [*lines[:SENTENCES_MAXIMUM], f"And {more:,} more of this kind."]
