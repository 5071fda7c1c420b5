"""Read what a registry sends over HTTP, check its signature, and pass its pushes on to be settled; replay a delivery."""

import hashlib
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

from clusters.callers import client_address
from clusters.models import Registry
from triggers.bodies import ADDRESS_PARAMETERS, Parameters
from triggers.models import Decision, Delivery, Trigger
from triggers.payloads.payload import Body, Headers, Payload, Push, Sender
from triggers.payloads.redaction import BODY_LENGTH, redact
from triggers.payloads.senders import find_sender
from triggers.pushes.deliveries import EXCERPT_LENGTH, Receipt, clean_line, clean_unicode, store_delivery
from triggers.pushes.settling import settle_pushes

# The registries whose own messages can neither be signed nor carry a custom header: their link is their only secret. Where
# another registry has a signing secret, their messages are refused, or whoever knows the link could speak in their name.
UNSIGNING_KINDS = (Registry.Kind.DOCKERHUB, Registry.Kind.QUAY, Registry.Kind.ALIBABA, Registry.Kind.ARTIFACT_REGISTRY)


@dataclass(frozen=True)
class Message:
    """An HTTP request as a sender's message. `sender` is None when no sender's shape fits it."""

    headers: Headers
    raw: bytes
    body: Body
    sender: Sender | None
    address: str | None = None
    user_agent: str = ""

    @cached_property
    def payload(self) -> Payload | None:
        """The message's content; None when no sender's shape fits it."""
        return self.sender.read(self.headers, self.body) if self.sender else None

    @property
    def concerns_images(self) -> bool:
        return self.payload is not None and self.payload.concerns_images

    def is_signed(self, secret: str) -> bool:
        """Return whether the message is signed with the secret, or names it in the header that its sender uses."""
        return self.sender is not None and self.sender.check_signature(self.headers, self.raw, secret)


def receive_delivery(request: HttpRequest, registry: Registry) -> Receipt:
    """Receive a request at a registry's inbound link. Raises BodyTooLarge."""
    return receive_message(read_message(request, Parameters(request)), registry)


def read_message(request: HttpRequest, parameters: Parameters) -> Message:
    """Read the request as a message. Raises BodyTooLarge."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    sender = find_sender(headers, parameters.fields)
    agent = clean_line(headers.get("user-agent", ""), 255)
    return Message(headers, parameters.raw, parameters.fields, sender, client_address(request), agent)


def read_query(request: HttpRequest) -> Message | None:
    """Read what the address says besides a link's own parameters, as monitors add it to a GET; None if it says nothing more."""
    fields = {name: value for name, value in request.GET.items() if name not in ADDRESS_PARAMETERS}
    if not fields:
        return None
    headers = {name.lower(): value for name, value in request.headers.items()}
    agent = clean_line(headers.get("user-agent", ""), 255)
    return Message(headers, b"", fields, None, client_address(request), agent)


def receive_message(
    message: Message,
    registry: Registry | None = None,
    trigger: Trigger | None = None,
    proof: str = "",
    proved_id: str = "",
    identity: dict[str, str] | None = None,
) -> Receipt:
    """Receive a message at a registry's inbound link, or at the own link of `trigger`, with the proof of its caller.
    `proved_id` is an id of the delivery that nobody can change; it counts instead of the one that the message names."""
    if registry and message.sender and (refusal := explain_signature_refusal(message, message.sender, registry)):
        delivery = start_delivery(message, registry, trigger, EXCERPT_LENGTH)
        return store_delivery(delivery, [], Decision.SIGNATURE, refusal)
    delivery = start_delivery(message, registry, trigger)
    delivery.proof, delivery.identity = proof, identity
    payload = message.payload
    if message.sender is None or payload is None:
        return store_delivery(delivery, [], Decision.UNREADABLE, "The message is not in a format of a known registry.")
    delivery.event = clean_line(payload.event, 64)
    delivery.delivery_id = clean_line(proved_id or payload.delivery_id, 255)
    return settle_pushes(delivery, payload, registry, trigger, relayed=message.sender.RELAYS, is_signed=message.is_signed)


def start_delivery(
    message: Message, registry: Registry | None, trigger: Trigger | None, body_length: int = BODY_LENGTH
) -> Delivery:
    """Return an unsaved delivery with all that is known before anything is decided, and that much of its body."""
    body = redact(message.body or message.raw, body_length) if message.body or message.raw else ""
    return Delivery(
        received_at=timezone.now(),
        source=Delivery.Source.REGISTRY if registry else Delivery.Source.TRIGGER,
        registry=registry,
        trigger=trigger,
        sender=message.sender.NAME if message.sender else "",
        fingerprint=hashlib.sha256(message.raw).hexdigest() if message.raw else "",
        source_address=message.address,
        user_agent=message.user_agent,
        body=clean_unicode(body)[:body_length],
    )


def explain_signature_refusal(message: Message, sender: Sender, registry: Registry) -> str:
    """Say why the message is not trusted, as a sentence; empty when it is, or when the registry has no signing secret."""
    secret = registry.signing_secret
    if registry.kind in UNSIGNING_KINDS and registry.kind == sender.NAME:
        return ""
    if not secret or message.is_signed(secret):
        return ""
    if sender.has_signature(message.headers):
        return "The signature is wrong: the secret of the sender's webhook differs from the one stored for this registry."
    return "The signature is missing: a secret is stored for this registry, so set the same one in the sender's webhook."


def replay_delivery(delivery: Delivery, user: Any) -> Delivery:
    """Decide again about the images of a delivery, and call the triggers that match now. Return the new delivery. Images that
    were refused for their signature are left out: nobody vouches for them.

    The caller checks that the user is allowed to do this, and records it in the audit log."""
    origin = delivery.replay_of or delivery
    seen = delivery.lines.exclude(image="").exclude(decision__in=(Decision.UNSUPPORTED, Decision.SIGNATURE))
    pushes = tuple(Push(*values) for values in seen.values_list("image", "tag", "digest"))
    replay = Delivery(
        received_at=timezone.now(),
        source=Delivery.Source.REPLAY,
        registry=delivery.registry,
        trigger=delivery.trigger,
        sender=delivery.sender,
        event=delivery.event,
        replay_of=delivery,
    )
    if origin.source == Delivery.Source.TRIGGER and delivery.trigger is None:
        sentence = "Not triggered: the trigger whose link received it was deleted."
        return store_delivery(replay, [], Decision.IMAGE, sentence).delivery
    if not pushes:
        return store_delivery(replay, [], Decision.UNREADABLE, "The delivery has no image that can be replayed.").delivery
    payload = Payload(delivery.sender, pushes=pushes)
    return settle_pushes(replay, payload, delivery.registry, delivery.trigger, relayed=True, user=user).delivery
