"""What is found while a sender's message is read."""

from collections import Counter
from typing import Any

from clusters.registry.reference import PATH, BadReference, is_digest, is_tag, normalize_host
from triggers.payloads.fields import clean, is_usable_host, show, split_reference, text
from triggers.payloads.payload import Payload, Push

READ_MAXIMUM = 1_000  # events, resources or tags of one message
SENTENCES_MAXIMUM = 20
NAME_LENGTH, DIGEST_LENGTH, EVENT_LENGTH, DELIVERY_LENGTH = 255, 160, 64, 255


class Reading:
    """Collects pushes, and a sentence for all else. What is no reference is passed over, never raised."""

    def __init__(self, sender: str, event: Any = "", delivery_id: Any = "") -> None:
        self.sender, self.event, self.delivery_id = sender, event, delivery_id
        self._pushes: dict[Push, None] = {}
        self._passed_over: Counter[str] = Counter()
        self._concerns_images = True

    def push(self, path: Any, tag: Any = None, digest: Any = None, host: Any = "") -> None:
        """An image that was pushed, with its fields as the sender has them."""
        try:
            self._pushes[make_push(path, tag, digest, host)] = None
        except BadReference as error:
            self.pass_over(f"A push of {show(path)} was passed over: {error}")

    def push_reference(self, reference: Any, tag: Any = None, digest: Any = None) -> None:
        """The same of `host/path:tag@digest` in one text; a tag or a digest told beside it counts before its own."""
        if not text(reference):
            self.pass_over(f"The image is {show(reference)} where its reference is expected.")
            return
        host, path, own_tag, own_digest = split_reference(text(reference)[: 4 * NAME_LENGTH])
        self.push(path, own_tag if tag in (None, "") else tag, own_digest if digest in (None, "") else digest, host)

    def pass_over(self, sentence: str) -> None:
        self._passed_over[sentence] += 1

    def pass_over_event(self, event: Any, about: Any = None) -> None:
        self.pass_over(f"{show(event)}{f' of {show(about)}' if about else ''} is no push of an image.")

    def leave(self, sentence: str) -> Payload:
        """The message is about something else than images."""
        self.pass_over(sentence)
        self._concerns_images = False
        return self.finish()

    def take(self, values: Any) -> list[Any]:
        """The first READ_MAXIMUM of a list; of what is no list, none."""
        if not isinstance(values, list):
            self.pass_over(f"There is {show(values)} where a list is expected.")
            return []
        if len(values) > READ_MAXIMUM:
            self.pass_over(f"Of {len(values):,} entries only the first {READ_MAXIMUM:,} were read.")
        return values[:READ_MAXIMUM]

    def finish(self) -> Payload:
        delivery_id = clean(text(self.delivery_id), DELIVERY_LENGTH + 1)
        return Payload(
            sender=self.sender,
            event=clean(text(self.event), EVENT_LENGTH),
            # A longer one is left out: cut, it could equal another's.
            delivery_id=delivery_id if len(delivery_id) <= DELIVERY_LENGTH else "",
            pushes=tuple(self._pushes),
            passed_over=tuple(list_sentences(self._passed_over)),
            concerns_images=self._concerns_images,
        )


def make_push(path: Any, tag: Any, digest: Any, host: Any) -> Push:
    """Raises BadReference. Without a host that others could use, the push is of the path alone; without a tag, or with a
    digest in its place, of a manifest that no tag names."""
    told_host, name = check_host(host), check_path(path)
    tag, digest = "" if tag is None else tag, "" if digest is None else digest
    if isinstance(tag, str) and (tag.startswith("sha256:") or tag == digest):
        tag, digest = "", digest or tag
    if tag != "" and not (isinstance(tag, str) and is_tag(tag)):
        raise BadReference(f"{show(tag)} is not a tag.")
    if digest != "" and not (isinstance(digest, str) and len(digest) <= DIGEST_LENGTH and is_digest(digest)):
        raise BadReference(f"{show(digest)} is not a digest.")
    return Push(f"{told_host}/{name}" if told_host else name, tag, digest)


def check_path(path: Any) -> str:
    """In lower case, as registries keep it whose users write it otherwise. Raises BadReference."""
    if not isinstance(path, str) or len(path) > NAME_LENGTH or not PATH.fullmatch(path.lower()):
        raise BadReference("that is not the name of an image.")
    return path.lower()


def check_host(host: Any) -> str:
    """Empty for a host that is not told, or that only the sender's own network knows. Raises BadReference."""
    if host in (None, ""):
        return ""
    try:
        found = normalize_host(host[: 4 * NAME_LENGTH]) if isinstance(host, str) else ""
    except BadReference:
        found = ""
    if not found:
        raise BadReference(f"{show(host)} is not the host of a registry.")
    return found if is_usable_host(found) else ""


def list_sentences(sentences: Counter[str]) -> list[str]:
    lines = [f"{line} ({count} times)" if count > 1 else line for line, count in sentences.items()]
    more = len(lines) - SENTENCES_MAXIMUM
    return lines if more <= 0 else [*lines[:SENTENCES_MAXIMUM], f"And {more:,} more of such kind."]
