"""Keel's native webhook, for people who migrate from Keel: `{"name": "registry.example.com/team/app", "tag": "1.2"}`,
optionally with `host` and `digest`. Such a small message is recognised by the absence of other fields.
"""

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import split_name
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "keel", "Keel's native webhook", True
has_signature, check_signature = signatures.HUB_SIGNATURE_OR_AUTHORIZATION
FIELDS = {"host", "name", "tag", "digest"}
LINK_FIELDS = {"triggerUrl", "secret", "wait"}  # a trigger's link can have its parameters in the body


def recognizes(headers: Headers, body: Body) -> bool:
    return isinstance(body.get("name"), str) and "tag" in body and set(body) <= FIELDS | LINK_FIELDS


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, delivery_id=headers.get("idempotency-key"))
    host, path = split_name(body["name"][:1000])
    builder.add_push(path, body.get("tag"), body.get("digest"), body.get("host") or host)
    return builder.finish()
