"""Diun, which watches registries and tells of news in any of them: `{"diun_version", "status": "new" or "update", "image":
"docker.io/team/app:1", "digest"}`, from its docs/notif/webhook.md; also with GET.
"""

from triggers.payloads import signatures
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

NAME, LABEL, RELAYS = "diun", "Diun", True
has_signature, check_signature = signatures.AUTHORIZATION
NEWS = ("new", "update")


def recognizes(headers: Headers, body: Body) -> bool:
    return "diun_version" in body


def read(headers: Headers, body: Body) -> Payload:
    reading = Reading(NAME, body.get("status"))
    if body.get("status") in NEWS:
        reading.push_reference(body.get("image"), digest=body.get("digest"))
    else:
        reading.pass_over_event(body.get("status"), body.get("image"))
    return reading.finish()
