"""The native webhook of Keel, for those who come from it: `{"name": "registry.example.com/team/app", "tag": "1.2"}`, perhaps
with `host` and `digest`. So little is known by having nothing else.
"""

from triggers.payloads import signatures
from triggers.payloads.fields import split_name
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

NAME, LABEL, RELAYS = "keel", "Keel's native webhook", True
has_signature, check_signature = signatures.HUB_SIGNATURE_OR_AUTHORIZATION
FIELDS = {"host", "name", "tag", "digest"}
LINK_FIELDS = {"triggerUrl", "secret", "wait"}  # of a trigger's link, whose parameters may stand in the body


def recognizes(headers: Headers, body: Body) -> bool:
    return isinstance(body.get("name"), str) and "tag" in body and set(body) <= FIELDS | LINK_FIELDS


def read(headers: Headers, body: Body) -> Payload:
    reading = Reading(NAME, delivery_id=headers.get("idempotency-key"))
    host, path = split_name(body["name"][:1000])
    reading.push(path, body.get("tag"), body.get("digest"), body.get("host") or host)
    return reading.finish()
