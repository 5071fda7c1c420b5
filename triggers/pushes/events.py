"""Ignore events of forges and registries at a trigger's link that say something else than what the link waits for.

A redeploy waits for a new version: an image or, at a forge, a push, a release or a pipeline that succeeded. Scaling waits for
no event of theirs at all: none says anything about load.
"""

from triggers.models import Action, Decision, Trigger
from triggers.payloads import ecr
from triggers.payloads.forges import ForgeEvent, read_forge_event
from triggers.payloads.payload import Payload
from triggers.pushes.deliveries import MESSAGE_LENGTH, Receipt, clean_line, make_line, store_delivery
from triggers.pushes.receiving import Message, start_delivery

# Bodies that people write themselves: a parameter's name is all that makes them look like a message about an image.
OWN_BODIES = ("generic", "keel")


def ignore_event(message: Message, trigger: Trigger) -> Receipt | None:
    """Store a message that the trigger does not act on, with the reason. Return None for any other message."""
    event = read_forge_event(message.headers, message.body)
    refusal = explain_refusal(message, event, trigger)
    if not refusal:
        return None
    delivery = start_delivery(message, None, trigger)
    delivery.sender = event.forge if event else delivery.sender
    delivery.event = event.event if event else clean_line(message.payload.event if message.payload else "", 64)
    sentence = clean_line(f"Nothing was done: {refusal}", MESSAGE_LENGTH)
    return store_delivery(delivery, [make_line("", "", "", Decision.UNSUPPORTED, sentence, trigger=trigger)])


def explain_refusal(message: Message, event: ForgeEvent | None, trigger: Trigger) -> str:
    """Say why the message makes no call; nothing for a message that can make one."""
    payload = message.payload
    if trigger.action == Action.SCALING:
        label = event.label if event else describe_sender(message)
        return f"this link scales, and no event of {label} says anything about load." if label else ""
    if event:
        return f"{event.label} reports {event.event!r}, which {event.refusal}." if event.refusal else ""
    return explain_foreign(payload) if payload and not payload.concerns_images else ""


def describe_sender(message: Message) -> str:
    sender = message.sender
    if sender is ecr and message.payload and message.payload.event in ecr.SNS_TYPES:
        return "Amazon SNS, except for alarms,"
    return sender.LABEL if sender and sender.NAME not in OWN_BODIES else ""


def explain_foreign(payload: Payload) -> str:
    """Say what a message of a registry is about, such as a package that is no image."""
    sentence = payload.passed_over[0] if payload.passed_over else "The message is not about an image."
    return sentence[:1].lower() + sentence[1:]
