"""Settle pushes: match each image with triggers, decide, and make the calls.

Every decision about one message, and every call that it makes, is committed together, under the lock of all applications
concerned: of two deliveries of one push, the second sees what the first one did.
"""

import hashlib
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction

from clusters.models import Registry
from clusters.registry.reference import BadReference, is_digest, is_tag
from triggers.calls.accept import accept_call
from triggers.calls.repetitions import find_call_of_delivery
from triggers.calls.requests import CallRequest
from triggers.models import CallState, Decision, Delivery, DeliveryLine, ImageSubscription, Trigger, TriggerCall
from triggers.payloads import harbor
from triggers.payloads.payload import Payload
from triggers.pushes.ages import judge_age
from triggers.pushes.candidates import (
    Candidate,
    find_candidates,
    find_signing_secrets,
    load_hosts,
    make_candidates,
    select_triggers,
)
from triggers.pushes.deliveries import DIGEST_LENGTH, MESSAGE_LENGTH, Receipt, clean_line, make_line, store_delivery
from triggers.pushes.matching import Hosts, PushedImage, PushVerdict, decide_push, locate_push
from triggers.refusals import CallRefused
from triggers.selectors import outcome_of

SignatureCheck = Callable[[str], bool]  # takes a signing secret

LINES_MAXIMUM = 100  # of one delivery; a message can hold very many images
UNSIGNED = (
    "Not triggered: a signing secret is stored for {host}, and the message is not signed with it. "
    "Pushes to {host} count at its own inbound link."
)
REPETITION_SPAN = timedelta(minutes=10)  # in which an equal body is the same message sent again


def settle_pushes(
    delivery: Delivery,
    payload: Payload,
    registry: Registry | None,
    trigger: Trigger | None,
    *,
    relayed: bool = False,
    user: Any = None,
    is_signed: SignatureCheck | None = None,
) -> Receipt:
    """Decide about each image, make the calls, and store everything. A replay makes its calls whatever came before it.

    `is_signed` says whether the message is signed with a secret; None for a replay, for which a person answers."""
    with transaction.atomic():
        hosts = load_hosts()
        pushes, lines = locate_pushes(payload, hosts, registry, relayed)
        if registry and is_signed:
            pushes, refused = refuse_unsigned(pushes, registry, is_signed)
            lines += refused
        candidates = find_candidates(pushes, hosts, trigger)
        for push in pushes:
            own = [candidate for candidate in candidates if candidate.push == push]
            settled = [line for candidate in own for line in settle_candidate(delivery, candidate, user)]
            lines += settled or [make_unmatched_line(push, trigger)]
        lines += [make_note_line(sentence) for sentence in payload.passed_over[:LINES_MAXIMUM]]
        if not lines:
            return store_delivery(delivery, [], Decision.UNSUPPORTED, describe_pushless(payload))
        return store_delivery(delivery, lines)


def settle_polled(delivery: Delivery, push: PushedImage, subscription: ImageSubscription) -> Receipt | None:
    """Settle a digest that polling found for one subscription. Return None, and store nothing, when the services already run
    that digest or the trigger no longer exists."""
    with transaction.atomic():
        trigger = select_triggers().filter(pk=subscription.trigger_id).first()
        if trigger is None:
            return None
        candidates = make_candidates([push], [(trigger, [subscription])], load_hosts())
        lines = [line for candidate in candidates for line in settle_candidate(delivery, candidate, None)]
        if all(line.decision == Decision.UNCHANGED for line in lines):
            return None
        return store_delivery(delivery, lines)


def locate_pushes(
    payload: Payload, hosts: Hosts, registry: Registry | None, relayed: bool
) -> tuple[list[PushedImage], list[DeliveryLine]]:
    """Return each image once, and a line for each whose name cannot be read."""
    located: list[PushedImage] = []
    unreadable: list[DeliveryLine] = []
    if (more := len(payload.pushes) - LINES_MAXIMUM) > 0:
        unreadable.append(make_note_line(f"{more} more images were left out."))
    for push in payload.pushes[:LINES_MAXIMUM]:
        tag, digest = keep_tag(push.tag), keep_digest(push.digest)
        try:
            own = registry.host if registry else ""
            host, path = locate_push(push.name, hosts, own, relayed=relayed or push.host_counts)
        except BadReference as error:
            unreadable.append(make_line(clean_line(push.name, 512), tag, digest, Decision.UNREADABLE, str(error)))
        else:
            located.append(PushedImage(host, path, tag, digest))
    return list(dict.fromkeys(located)), unreadable


def refuse_unsigned(
    pushes: Iterable[PushedImage], registry: Registry, is_signed: SignatureCheck
) -> tuple[list[PushedImage], list[DeliveryLine]]:
    """Return the pushes that the message may speak of, and a line for each other one.

    The message was checked for `registry`, whose link received it. Whoever knows that link must not speak in the name of a
    registry that signs, so a push about another registry with a signing secret must be signed with that one's own secret."""
    believed: list[PushedImage] = []
    refused: list[DeliveryLine] = []
    secrets = find_signing_secrets(registry, pushes)
    for push in pushes:
        secret = secrets.get(push.host)
        if secret is None or is_signed(secret):
            believed.append(push)
        else:
            sentence = UNSIGNED.format(host=push.host)
            refused.append(make_line(push.name, push.tag, push.digest, Decision.SIGNATURE, sentence))
    return believed, refused


def keep_tag(tag: str) -> str:
    return tag if is_tag(tag) else ""


def keep_digest(digest: str) -> str:
    return digest if len(digest) <= DIGEST_LENGTH and is_digest(digest) else ""


def settle_candidate(delivery: Delivery, candidate: Candidate, user: Any) -> list[DeliveryLine]:
    """Decide about one image and one trigger, and make the calls that follow."""
    is_replay = delivery.source == Delivery.Source.REPLAY
    verdict = decide_push(candidate.push, candidate.subscription, candidate.target, takes_left=is_replay)
    if verdict.decision != Decision.TRIGGERED:
        return [make_candidate_line(candidate, verdict.decision, verdict.message)]
    if not is_replay and (line := find_repetition(delivery, candidate)):
        return [line]
    aged = judge_age(delivery, candidate)
    if aged.sentence:
        return [make_candidate_line(candidate, Decision.YOUNG, aged.sentence)]
    services = verdict.service_ids or (candidate.trigger.service_id,)
    return [call_candidate(delivery, candidate, verdict, service, user, aged.judged) for service in services]


def find_repetition(delivery: Delivery, candidate: Candidate) -> DeliveryLine | None:
    """Return the line of a push that was already answered, or None for a new one.

    Only the newest call for the tag counts: an earlier digest that is pushed again is new. A message without a digest is new
    too, unless the call has not started yet: its pull can be older than the push."""
    newest = find_newest_line(candidate)
    if newest is None:
        return None
    first = newest.delivery
    same_link = (first.registry_id, first.trigger_id) == (delivery.registry_id, delivery.trigger_id)
    is_recent = first.received_at > delivery.received_at - REPETITION_SPAN
    if newest.digest and not candidate.push.digest and is_replication(delivery) and same_link and is_recent:
        sentence = "Duplicate: the registry has just reported the push that this replication made."
        return make_candidate_line(candidate, Decision.DUPLICATE, sentence, newest.call)
    if newest.digest != candidate.push.digest:
        return None
    call = outcome_of(newest.call) if newest.call else None
    if call and (call.state == CallState.QUEUED or (candidate.push.digest and call.state == CallState.RUNNING)):
        sentence = f"Duplicate: a redeploy for it is already {call.state}."
        return make_candidate_line(candidate, Decision.DUPLICATE, sentence, newest.call)
    same_body = delivery.fingerprint and first.fingerprint == delivery.fingerprint
    if same_link and same_body and candidate.push.digest and is_recent:
        sentence = "Duplicate: the same message arrived a moment ago."
        return make_candidate_line(candidate, Decision.DUPLICATE, sentence, newest.call)
    return None


def is_replication(delivery: Delivery) -> bool:
    """Return whether the delivery is a replication of Harbor. It has no digest, and Harbor may report a push of it as well."""
    return delivery.sender == harbor.NAME and delivery.event in harbor.REPLICATIONS


def find_newest_line(candidate: Candidate) -> DeliveryLine | None:
    """Return the newest line that made a call of the trigger for the image's tag."""
    lines = DeliveryLine.objects.filter(
        trigger=candidate.trigger, image=candidate.image, tag=candidate.push.tag, decision=Decision.TRIGGERED
    ).select_related("delivery", "call__coalesced_into")
    needed = ("digest", *(f"delivery__{name}" for name in ("registry_id", "trigger_id", "fingerprint", "received_at")))
    states = ("call__state", "call__coalesced_into__state")
    return lines.only(*needed, *states).order_by("-pk").first()


def call_candidate(
    delivery: Delivery,
    candidate: Candidate,
    verdict: PushVerdict,
    service_id: int | None,
    user: Any,
    judged: dict[str, Any] | None = None,
) -> DeliveryLine:
    """Call the candidate's trigger, for one service or for everything that it redeploys, and return the line about it. `judged`
    is CallRequest.judged_image."""
    trigger, call_id = candidate.trigger, make_call_id(delivery, candidate, service_id)
    known = find_call_of_delivery(trigger, call_id)
    if known and known.state != CallState.REJECTED:
        sentence = "Duplicate: this delivery has already made its call."
        return make_candidate_line(candidate, Decision.DUPLICATE, sentence, known)
    is_polled = delivery.source == Delivery.Source.POLL
    request = CallRequest(
        source=TriggerCall.Source.POLL if is_polled else TriggerCall.Source.REGISTRY,
        action=trigger.action,
        application_id=trigger.application_id,
        service_id=service_id,
        trigger=trigger,
        tag=verdict.tag,
        requested_by=user,
        source_address=delivery.source_address,
        user_agent=delivery.user_agent,
        delivery_id=call_id,
        proof=delivery.proof,
        identity=delivery.identity,
        judged_image=judged,
    )
    try:
        call = accept_call(request)
    except CallRefused as error:
        return make_candidate_line(candidate, Decision.REJECTED, error.message)
    if call.state == CallState.REJECTED:
        return make_candidate_line(candidate, Decision.REJECTED, call.message, call)
    return make_candidate_line(candidate, Decision.TRIGGERED, f"{verdict.message} {call.message}".strip(), call)


def make_call_id(delivery: Delivery, candidate: Candidate, service_id: int | None) -> str:
    """Return the id of one call that a delivery makes; empty when the sender gives its deliveries no ids."""
    if not delivery.delivery_id:
        return ""
    push = candidate.push
    parts = (delivery.registry_id, delivery.delivery_id, candidate.image, push.tag, push.digest, service_id)
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()


# Lines of a delivery


def make_candidate_line(
    candidate: Candidate, decision: Decision, message: str, call: TriggerCall | None = None
) -> DeliveryLine:
    push = candidate.push
    return make_line(candidate.image, push.tag, push.digest, decision, message, trigger=candidate.trigger, call=call)


def make_unmatched_line(push: PushedImage, trigger: Trigger | None) -> DeliveryLine:
    """Return the line of an image that no trigger follows, or that the called trigger does not follow."""
    follower = "no trigger is" if trigger is None else "this trigger is not"
    sentence = f"Not triggered: {follower} associated with {push.name}."
    return make_line(push.name, push.tag, push.digest, Decision.IMAGE, sentence, trigger=trigger)


def make_note_line(sentence: str) -> DeliveryLine:
    """Return a line about a part of the message that is no push."""
    return make_line("", "", "", Decision.UNSUPPORTED, clean_line(sentence, MESSAGE_LENGTH))


def describe_pushless(payload: Payload) -> str:
    event = clean_line(payload.event, 64)
    return f"Nothing was pushed: the event is {event}." if event else "Nothing was pushed."
