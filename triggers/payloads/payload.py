"""The content of a message as every sender's module returns it, and the interface of these modules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Headers = Mapping[str, str]  # names in lower case
Body = Mapping[str, Any]  # a JSON object, or a form's fields with its `payload` unpacked


@dataclass(frozen=True)
class Push:
    """An image that was pushed to a registry. `name` is its repository, with a host if the sender gives one that others can
    use. `tag` is empty for a manifest without a tag. With `host_counts` the sender means that very host, whichever registry
    calls: an image can be replicated to another one."""

    name: str
    tag: str = ""
    digest: str = ""
    host_counts: bool = False


@dataclass(frozen=True)
class Payload:
    """The content of a message. `event` is the sender's own name for it. `pushes` can be empty.

    `passed_over` holds sentences for people about the rest of the message. `concerns_images` is false for a message about
    something else, such as a push of commits: at a trigger's own link that is a plain call, as from any caller."""

    sender: str
    event: str = ""
    delivery_id: str = ""
    pushes: tuple[Push, ...] = ()
    passed_over: tuple[str, ...] = ()
    concerns_images: bool = True


class Sender(Protocol):
    """The interface of a sender's module."""

    NAME: str  # "harbor"
    LABEL: str  # "Harbor"
    # Whether it reports images of any registry (Diun, WUD, a generic caller): then the host in its message counts. The others
    # report images of the registry whose link they call, even if they know its host by another name.
    RELAYS: bool

    def recognizes(self, headers: Headers, body: Body) -> bool:
        """Decide by the body's shape and the headers whether the message is from this sender."""

    def read(self, headers: Headers, body: Body) -> Payload:
        """Read the message. Never raises for a wrong type, a missing field or a value of absurd length: it is passed over."""

    def has_signature(self, headers: Headers) -> bool:
        """Return whether the message carries a signature at all."""

    def check_signature(self, headers: Headers, raw: bytes, secret: str) -> bool:
        """Check the signature of the raw body, in constant time. A malformed signature is a wrong one."""
