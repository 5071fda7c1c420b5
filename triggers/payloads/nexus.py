"""Sonatype Nexus: `X-Nexus-Webhook-ID: rm:repository:component` with `{"action": "CREATED", "repositoryName": "docker-hosted",
"component": {"format": "docker", "name": "team/app", "version": "1.0"}}`, without a digest.

Whether images have the repository's name in their path depends on how it is published: on a port or host of its own they have
not. So a push is told both ways. The signature is an HMAC-SHA1.
"""

from triggers.payloads.fields import dig, is_object, show, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading
from triggers.payloads.signatures import equals_hmac

NAME, LABEL, RELAYS = "nexus", "Sonatype Nexus", False
EVENT = "x-nexus-webhook-id"
SIGNATURE = "x-nexus-webhook-signature"
PUSHES = ("CREATED", "UPDATED")


def recognizes(headers: Headers, body: Body) -> bool:
    return bool(headers.get(EVENT)) or "repositoryName" in body and "component" in body


def read(headers: Headers, body: Body) -> Payload:
    reading = Reading(NAME, headers.get(EVENT) or body.get("action"), headers.get("x-nexus-webhook-delivery"))
    component, repository = body.get("component"), text(body.get("repositoryName"))
    if not is_object(component):
        reading.pass_over(f"{show(reading.event)} is not about components: choose the event component of the repository.")
        return reading.finish()
    if dig(component, "format") != "docker":
        return reading.leave(f"The component {show(dig(component, 'name'))} is no container image.")
    if body.get("action") not in PUSHES:
        reading.pass_over_event(body.get("action"), dig(component, "name"))
        return reading.finish()
    name, tag = text(dig(component, "name")), dig(component, "version")
    reading.push(name, tag)
    if repository:
        reading.push(f"{repository}/{name}", tag)
    return reading.finish()


def has_signature(headers: Headers) -> bool:
    return bool(headers.get(SIGNATURE, "").strip())


def check_signature(headers: Headers, raw: bytes, secret: str) -> bool:
    return equals_hmac(headers.get(SIGNATURE, ""), raw, secret, "sha1")
