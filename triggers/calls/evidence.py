"""Keeping what failed containers and tasks leave behind, and the sentence about it in a call's verdict."""

from typing import Any

from django.db import transaction

from clusters.engine.evidence import CONTAINERS, Evidence
from clusters.engine.references import shorten_image_id
from triggers.calls.events import clean_event_text
from triggers.calls.prune import evidence_surplus
from triggers.models import CallEvidence, TriggerCall
from triggers.payloads.redaction import redact_output


def keep_evidence(call: TriggerCall, evidence: Evidence) -> None:
    """Store the evidence with the call, and in `call.failure` what failed first. The first CONTAINERS are kept, and others
    are only counted. An earlier attempt at the call may have kept the same already."""
    with transaction.atomic():
        failure = add_evidence(call, evidence)
    call.failure = failure


def add_evidence(call: TriggerCall, evidence: Evidence) -> dict[str, Any] | None:
    """Return the call's failure with this evidence."""
    rows = CallEvidence.objects.filter(call=call)
    if rows.filter(part_id=evidence.id[:64]).exists():
        return call.failure
    known: dict[str, Any] = call.failure or describe_failure(evidence)
    failure = known | {"failed": known.get("failed", 0) + 1}
    if not evidence.is_left_out and rows.count() < CONTAINERS:
        CallEvidence.objects.create(
            call=call,
            part_id=evidence.id[:64],
            name=clean(evidence.name, 255),
            service=clean(evidence.service, 255),
            image=clean(evidence.image, 512),
            image_id=clean(evidence.image_id, 255),
            exit_code=evidence.exit_code,
            cause=redact_output(clean_event_text(evidence.cause)),
            lines=[[line.time, line.stream, redact_output(line.text)] for line in evidence.lines],
            is_cut=evidence.is_cut,
            problem=redact_output(clean_event_text(evidence.problem)),
        )
        evidence_surplus.note_added()
    TriggerCall.objects.filter(pk=call.pk).update(failure=failure)
    return failure


def clean(text: str, length: int) -> str:
    return clean_event_text(text)[:length]


def describe_failure(evidence: Evidence) -> dict[str, Any]:
    return {
        "container": clean(evidence.name, 255),
        "image": clean(evidence.image, 512),
        "imageId": clean(evidence.image_id, 255),
        "firstErrorLine": redact_output(evidence.first_error),
    }


def add_first_error(message: str, failure: dict[str, Any] | None) -> str:
    """Return a failed call's message with the image that was tried and the first error line, unless it has them already."""
    if not failure:
        return message
    image, image_id = failure["image"], shorten_image_id(failure["imageId"])
    tried = " ".join(filter(None, [image, f"({image_id})" if image_id and image_id not in image else ""]))
    line = failure["firstErrorLine"]
    if not line or line in message:
        return message if not tried or image in message else f"{message} The image that was tried: {tried}."
    from_image = f" from {tried}" if tried else ""
    return f"{message} {failure['container']}{from_image} printed: {line}"
