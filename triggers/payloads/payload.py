"""What every sender's module makes of a message."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Headers = Mapping[str, str]  # names in lower case
Body = Mapping[str, Any]  # a JSON object, or a form's fields with its `payload` unpacked


@dataclass(frozen=True)
class Push:
    """An image that a registry has by now. `name` is its repository, with a host where the sender tells one that others can
    use; `tag` is empty where the manifest came without one."""

    name: str
    tag: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Payload:
    """`event`: the sender's own word. `pushes` may be empty; `passed_over` says, for people, what else was in the message.
    `concerns_images` is false where the message is about something else altogether, such as a push of commits: for a trigger's
    own link that is a plain call, as from any caller."""

    sender: str
    event: str = ""
    delivery_id: str = ""
    pushes: tuple[Push, ...] = ()
    passed_over: tuple[str, ...] = ()
    concerns_images: bool = True


class Sender(Protocol):
    """What a sender's module offers."""

    NAME: str  # "harbor"
    LABEL: str  # "Harbor"
    # Whether it speaks of images in any registry (Diun, WUD, a generic caller): then the host it tells counts. The others
    # speak of the registry whose link they call, even where they know its host by another name.
    RELAYS: bool

    def recognizes(self, headers: Headers, body: Body) -> bool:
        """By the body's shape and the headers."""

    def read(self, headers: Headers, body: Body) -> Payload:
        """Never raises for a wrong type, a missing field or a value of absurd length: what cannot be read is passed over."""

    def has_signature(self, headers: Headers) -> bool:
        """Whether the message carries one at all."""

    def check_signature(self, headers: Headers, raw: bytes, secret: str) -> bool:
        """Of the raw body, in constant time. A malformed one is a wrong one."""
