"""Diun, which watches any registries and reports new images: `{"diun_version", "status": "new" or "update", "image":
"docker.io/team/app:1", "digest"}`, from its docs/notif/webhook.md. It can also send them with GET.
"""

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "diun", "Diun", True
has_signature, check_signature = signatures.AUTHORIZATION
NEWS = ("new", "update")


def recognizes(headers: Headers, body: Body) -> bool:
    return "diun_version" in body


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, body.get("status"))
    if body.get("status") in NEWS:
        builder.add_reference(body.get("image"), digest=body.get("digest"))
    else:
        builder.pass_over_event(body.get("status"), body.get("image"))
    return builder.finish()
