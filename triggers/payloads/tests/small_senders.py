"""Small senders, so that tests do not depend on the formats of the real ones."""

import hmac
from types import SimpleNamespace

from triggers.payloads.payload import Payload, Push


def read(headers, body):
    pushes = tuple(Push(push.get("name", ""), push.get("tag", ""), push.get("digest", "")) for push in body["pushes"])
    return Payload(body["sender"], body.get("event", "push"), body.get("id", ""), pushes, tuple(body.get("passed_over", ())))


def make_sender(name, relays):
    return SimpleNamespace(
        NAME=name,
        LABEL=name.title(),
        RELAYS=relays,
        recognizes=lambda headers, body: body.get("sender") == name,
        read=read,
        has_signature=lambda headers: "x-signature" in headers,
        check_signature=lambda headers, raw, secret: hmac.compare_digest(
            headers.get("x-signature", "").encode(), sign(raw, secret).encode()
        ),
    )


def sign(raw: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), raw, "sha256").hexdigest()


SENDERS = (make_sender("harbor", False), make_sender("relay", True), make_sender("quay", False))
