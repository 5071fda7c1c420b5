"""Sonatype Nexus: `X-Nexus-Webhook-ID: rm:repository:component` with `{"action": "CREATED", "repositoryName": "docker-hosted",
"component": {"format": "docker", "name": "team/app", "version": "1.0"}}`, without a digest.

Images have the repository's name in their path, unless the repository has a port or a host of its own. The message does not say
which, so a push is reported both ways. The signature is an HMAC-SHA1.
"""

from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, is_object, quote_value, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.signatures import equals_hmac

NAME, LABEL, RELAYS = "nexus", "Sonatype Nexus", False
EVENT = "x-nexus-webhook-id"
SIGNATURE = "x-nexus-webhook-signature"
PUSHES = ("CREATED", "UPDATED")


def recognizes(headers: Headers, body: Body) -> bool:
    return bool(headers.get(EVENT)) or "repositoryName" in body and "component" in body


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, headers.get(EVENT) or body.get("action"), headers.get("x-nexus-webhook-delivery"))
    component, repository = body.get("component"), text(body.get("repositoryName"))
    if not is_object(component):
        builder.pass_over(f"{quote_value(builder.event)} is not about components: choose the repository's event component.")
        return builder.finish()
    if dig(component, "format") != "docker":
        return builder.finish_unrelated(f"The component {quote_value(dig(component, 'name'))} is not a container image.")
    if body.get("action") not in PUSHES:
        builder.pass_over_event(body.get("action"), dig(component, "name"))
        return builder.finish()
    name, tag = text(dig(component, "name")), dig(component, "version")
    builder.add_push(name, tag)
    if repository:
        builder.add_push(f"{repository}/{name}", tag)
    return builder.finish()


def has_signature(headers: Headers) -> bool:
    return bool(headers.get(SIGNATURE, "").strip())


def check_signature(headers: Headers, raw: bytes, secret: str) -> bool:
    return equals_hmac(headers.get(SIGNATURE, ""), raw, secret, "sha1")
