"""From a registry's message to calls: read, match, decide, call, and write the access log. The only writer of Delivery.

All that is decided about one message, and the calls that it makes, is committed together, under the lock of every application
concerned: of two deliveries of one push the second sees what the first one did.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from clusters.batches import delete_in_batches
from clusters.callers import client_address
from clusters.engine.cleaning import clean_text
from clusters.models import Registry
from clusters.registry.reference import BadReference, is_digest, is_tag
from triggers.bodies import Parameters
from triggers.calls.accept import accept_call
from triggers.calls.repetitions import find_call_of_delivery
from triggers.calls.requests import CallRequest
from triggers.models import CallState, Decision, Delivery, DeliveryLine, ImageSubscription, Trigger, TriggerCall
from triggers.payloads.payload import Body, Headers, Payload, Push, Sender
from triggers.payloads.redaction import redact
from triggers.payloads.senders import find_sender
from triggers.pushes.cases import Case, find_cases, load_hosts, make_cases, trigger_rows
from triggers.pushes.matching import Hosts, PushedImage, Verdict, decide_push, locate_push
from triggers.refusals import CallRefused
from triggers.selectors import outcome_of

log = structlog.get_logger("windlass.deliveries")

LINES_MAXIMUM = 100  # of one delivery; a message may hold very many images
BODY_LIMIT = 20_000  # characters of a body that are kept
MESSAGE_LENGTH = 500
DIGEST_LENGTH = 160
REPETITION_SPAN = timedelta(minutes=10)  # in which an equal body is the same message sent again

# Whose own senders can neither sign nor send a header of one's own: their link alone is their secret. At any other registry
# with a signing secret their messages are refused, or whoever knows the link could speak in their name.
UNSIGNING_KINDS = (Registry.Kind.DOCKERHUB, Registry.Kind.QUAY, Registry.Kind.ALIBABA, Registry.Kind.ARTIFACT_REGISTRY)

# The most telling first.
RANKING = (
    *(Decision.TRIGGERED, Decision.REJECTED, Decision.SIGNATURE, Decision.DUPLICATE, Decision.UNCHANGED, Decision.TAG),
    *(Decision.IMAGE, Decision.ALERT, Decision.UNSUPPORTED, Decision.UNREADABLE),
)


@dataclass(frozen=True)
class Message:
    """What came over HTTP. `sender`: None for a shape that nobody knows."""

    headers: Headers
    raw: bytes
    body: Body
    sender: Sender | None
    address: str | None = None
    user_agent: str = ""

    @cached_property
    def payload(self) -> Payload | None:
        """None where nobody knows the shape."""
        return self.sender.read(self.headers, self.body) if self.sender else None

    @property
    def concerns_images(self) -> bool:
        return self.payload is not None and self.payload.concerns_images


def receive_delivery(request: HttpRequest, registry: Registry | None = None, trigger: Trigger | None = None) -> Delivery:
    """Of an HTTP request at a registry's inbound link, or at a trigger's own link. Raises BodyTooLarge."""
    return receive_message(read_message(request, Parameters(request)), registry, trigger)


def read_message(request: HttpRequest, parameters: Parameters) -> Message:
    """Raises BodyTooLarge."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    sender = find_sender(headers, parameters.fields)
    agent = clean_line(headers.get("user-agent", ""), 255)
    return Message(headers, parameters.raw, parameters.fields, sender, client_address(request), agent)


def receive_message(message: Message, registry: Registry | None = None, trigger: Trigger | None = None) -> Delivery:
    delivery = describe_message(message, registry, trigger)
    if registry and message.sender and (refusal := refuse_signature(message, message.sender, registry)):
        return store_delivery(delivery, [], Decision.SIGNATURE, refusal)
    payload = message.payload
    if message.sender is None or payload is None:
        return store_delivery(delivery, [], Decision.UNREADABLE, "No registry's message was recognised in it.")
    delivery.event = clean_line(payload.event, 64)
    delivery.delivery_id = clean_line(payload.delivery_id, 255)
    return settle_pushes(delivery, payload, registry, trigger, relayed=message.sender.RELAYS)


def describe_message(message: Message, registry: Registry | None, trigger: Trigger | None) -> Delivery:
    body = redact(message.body or message.raw) if message.raw else ""
    return Delivery(
        received_at=timezone.now(),
        source=Delivery.Source.REGISTRY if registry else Delivery.Source.TRIGGER,
        registry=registry,
        trigger=trigger,
        sender=message.sender.NAME if message.sender else "",
        fingerprint=hashlib.sha256(message.raw).hexdigest() if message.raw else "",
        source_address=message.address,
        user_agent=message.user_agent,
        body=clean_unicode(body)[:BODY_LIMIT],
    )


def refuse_signature(message: Message, sender: Sender, registry: Registry) -> str:
    """Why the message is not believed, as a sentence; empty when it is, or when nothing is asked of it."""
    secret = registry.signing_secret
    if registry.kind in UNSIGNING_KINDS and registry.kind == sender.NAME:
        return ""
    if not secret or sender.check_signature(message.headers, message.raw, secret):
        return ""
    if sender.has_signature(message.headers):
        return "The signature is wrong: the webhook's secret there is not the one that is stored for this registry."
    return "The signature is missing: a secret is stored for this registry, so set the same one at the sender's webhook."


def replay_delivery(delivery: Delivery, user: Any) -> Delivery:
    """Decide again about what it brought, and call what matches now; a new Delivery. Who lets people ask for it records that
    they did."""
    origin = delivery.replay_of or delivery
    seen = delivery.lines.exclude(image="").exclude(decision=Decision.UNSUPPORTED)
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
        return store_delivery(replay, [], Decision.IMAGE, "Not triggered: the trigger whose link it came to is gone.")
    if not pushes:
        return store_delivery(replay, [], Decision.UNREADABLE, "There is no image in it that could be replayed.")
    payload = Payload(delivery.sender, pushes=pushes)
    return settle_pushes(replay, payload, delivery.registry, delivery.trigger, relayed=True, user=user)


def settle_pushes(
    delivery: Delivery,
    payload: Payload,
    registry: Registry | None,
    trigger: Trigger | None,
    *,
    relayed: bool = False,
    user: Any = None,
) -> Delivery:
    """Decide about each image, make the calls, and store it all. A replay makes its calls whatever came before."""
    with transaction.atomic():
        hosts = load_hosts()
        pushes, lines = locate_pushes(payload, hosts, registry, relayed)
        cases = find_cases(pushes, hosts, trigger)
        for push in pushes:
            own = [case for case in cases if case.push == push]
            lines += [line for case in own for line in settle_case(delivery, case, user)] or [refuse_image(push, trigger)]
        lines += [pass_over(sentence) for sentence in payload.passed_over[:LINES_MAXIMUM]]
        if not lines:
            return store_delivery(delivery, [], Decision.UNSUPPORTED, describe_event(payload))
        return store_delivery(delivery, lines)


def settle_find(delivery: Delivery, push: PushedImage, subscription: ImageSubscription) -> Delivery | None:
    """Of polling: about one subscription. None, and nothing is stored, where the services run that digest already or the
    trigger is gone."""
    with transaction.atomic():
        trigger = trigger_rows().filter(pk=subscription.trigger_id).first()
        if trigger is None:
            return None
        cases = make_cases([push], [(trigger, [subscription])], load_hosts())
        lines = [line for case in cases for line in settle_case(delivery, case, None)]
        if all(line.decision == Decision.UNCHANGED for line in lines):
            return None
        return store_delivery(delivery, lines)


def locate_pushes(
    payload: Payload, hosts: Hosts, registry: Registry | None, relayed: bool
) -> tuple[list[PushedImage], list[DeliveryLine]]:
    """Each image once, and a line for each whose name cannot be read."""
    located: list[PushedImage] = []
    unreadable = [pass_over(f"{more} more images were left out.")] if (more := len(payload.pushes) - LINES_MAXIMUM) > 0 else []
    for push in payload.pushes[:LINES_MAXIMUM]:
        tag, digest = clean_tag(push.tag), clean_digest(push.digest)
        try:
            host, path = locate_push(push.name, hosts, registry.host if registry else "", relayed=relayed)
        except BadReference as error:
            unreadable.append(make_line(clean_line(push.name, 512), tag, digest, Decision.UNREADABLE, str(error)))
        else:
            located.append(PushedImage(host, path, tag, digest))
    return list(dict.fromkeys(located)), unreadable


# What becomes of it


def settle_case(delivery: Delivery, case: Case, user: Any) -> list[DeliveryLine]:
    verdict = decide_push(case.push, case.subscription, case.target)
    if verdict.decision != Decision.TRIGGERED:
        return [line_of(case, verdict.decision, verdict.message)]
    if delivery.source != Delivery.Source.REPLAY and (line := find_repetition(delivery, case)):
        return [line]
    services = verdict.service_ids or (case.trigger.service_id,)
    return [call_trigger(delivery, case, verdict, service, user) for service in services]


def find_repetition(delivery: Delivery, case: Case) -> DeliveryLine | None:
    """The line of a push that was answered already. Only the newest call for the tag tells: what was pushed before another
    digest and is pushed again is news. So is a message that tells no digest, unless the call has not begun yet: its pull may
    be older than the push."""
    newest = find_newest_line(case)
    if newest is None or newest.digest != case.push.digest:
        return None
    call = outcome_of(newest.call) if newest.call else None
    if call and (call.state == CallState.QUEUED or (case.push.digest and call.state == CallState.RUNNING)):
        return line_of(case, Decision.DUPLICATE, f"Duplicate: a redeploy for it is {call.state} already.", newest.call)
    first = newest.delivery
    same_link = (first.registry_id, first.trigger_id) == (delivery.registry_id, delivery.trigger_id)
    same_body = delivery.fingerprint and first.fingerprint == delivery.fingerprint
    if same_link and same_body and case.push.digest and first.received_at > delivery.received_at - REPETITION_SPAN:
        return line_of(case, Decision.DUPLICATE, "Duplicate: the same message came a moment ago.", newest.call)
    return None


def find_newest_line(case: Case) -> DeliveryLine | None:
    lines = DeliveryLine.objects.filter(
        trigger=case.trigger, image=case.image, tag=case.push.tag, decision=Decision.TRIGGERED
    ).select_related("delivery", "call__coalesced_into")
    needed = ("digest", *(f"delivery__{name}" for name in ("registry_id", "trigger_id", "fingerprint", "received_at")))
    states = ("call__state", "call__coalesced_into__state")
    return lines.only(*needed, *states).order_by("-pk").first()


def call_trigger(delivery: Delivery, case: Case, verdict: Verdict, service_id: int | None, user: Any) -> DeliveryLine:
    call_id = make_call_id(delivery, case, service_id)
    known = find_call_of_delivery(case.trigger, call_id)
    if known and known.state != CallState.REJECTED:
        return line_of(case, Decision.DUPLICATE, "Duplicate: this delivery has made its call already.", known)
    is_find = delivery.source == Delivery.Source.POLL
    request = CallRequest(
        source=TriggerCall.Source.POLL if is_find else TriggerCall.Source.REGISTRY,
        action=case.trigger.action,
        application_id=case.trigger.application_id,
        service_id=service_id,
        trigger=case.trigger,
        tag=verdict.tag,
        requested_by=user,
        source_address=delivery.source_address,
        user_agent=delivery.user_agent,
        delivery_id=call_id,
    )
    try:
        call = accept_call(request)
    except CallRefused as error:
        return line_of(case, Decision.REJECTED, error.message)
    if call.state == CallState.REJECTED:
        return line_of(case, Decision.REJECTED, call.message, call)
    return line_of(case, Decision.TRIGGERED, f"{verdict.message} {call.message}".strip(), call)


def make_call_id(delivery: Delivery, case: Case, service_id: int | None) -> str:
    """One for each call that a delivery makes of a trigger; empty where the sender gives its deliveries no id."""
    if not delivery.delivery_id:
        return ""
    parts = (delivery.registry_id, delivery.delivery_id, case.image, case.push.tag, case.push.digest, service_id)
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()


# The access log


def make_line(image: str, tag: str, digest: str, decision: Decision, message: str, **more: Any) -> DeliveryLine:
    return DeliveryLine(image=image, tag=tag, digest=digest, decision=decision, message=message[:MESSAGE_LENGTH], **more)


def line_of(case: Case, decision: Decision, message: str, call: TriggerCall | None = None) -> DeliveryLine:
    return make_line(case.image, case.push.tag, case.push.digest, decision, message, trigger=case.trigger, call=call)


def refuse_image(push: PushedImage, trigger: Trigger | None) -> DeliveryLine:
    if trigger is None:
        sentence = f"Not triggered: no trigger is associated with {push.name}."
    else:
        sentence = f"Not triggered: this trigger is not associated with {push.name}."
    return make_line(push.name, push.tag, push.digest, Decision.IMAGE, sentence, trigger=trigger)


def pass_over(sentence: str) -> DeliveryLine:
    return make_line("", "", "", Decision.UNSUPPORTED, clean_line(sentence, MESSAGE_LENGTH))


def describe_event(payload: Payload) -> str:
    event = clean_line(payload.event, 64)
    return f"Nothing was pushed: the event is {event}." if event else "Nothing was pushed."


def store_delivery(
    delivery: Delivery, lines: Sequence[DeliveryLine], decision: Decision = Decision.UNREADABLE, message: str = ""
) -> Delivery:
    """`decision` and `message`: of a delivery without lines."""
    if lines:
        first = min(lines, key=lambda line: RANKING.index(Decision(line.decision)))
        decision, message = Decision(first.decision), first.message
    delivery.decision, delivery.message = decision, message[:MESSAGE_LENGTH]
    with transaction.atomic(savepoint=False):
        delivery.save(force_insert=True)
        for line in lines:
            line.delivery = delivery
        DeliveryLine.objects.bulk_create(lines)
    log.info("delivery", delivery_id=str(delivery.pk), source=delivery.source, sender=delivery.sender, decision=str(decision))
    return delivery


def prune_deliveries() -> int:
    """Delete deliveries by age and count (settings). Returns how many went."""
    horizon = timezone.now() - timedelta(days=settings.DELIVERY_RETENTION_DAYS)
    times = Delivery.objects.order_by("-received_at").values_list("received_at", flat=True)
    for newest_surplus in times[settings.DELIVERY_RETENTION_COUNT :][:1]:
        horizon = max(horizon, newest_surplus)
    return delete_in_batches(Delivery.objects.filter(received_at__lte=horizon).order_by("received_at"))


# What senders tell is hostile


def clean_line(text: str, length: int) -> str:
    return clean_unicode(clean_text(text, length))


def clean_unicode(text: str) -> str:
    """Without NUL and lone surrogates, which no database takes."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def clean_tag(tag: str) -> str:
    return tag if is_tag(tag) else ""


def clean_digest(digest: str) -> str:
    return digest if len(digest) <= DIGEST_LENGTH and is_digest(digest) else ""
