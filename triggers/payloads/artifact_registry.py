"""Google Artifact Registry and Container Registry, which publish to Pub/Sub.

`{"message": {"data": <base64>, "messageId"}, "subscription"}`; the data is `{"action": "INSERT", "digest":
"host/project/app@sha256:…", "tag": "host/project/app:1"}`. With payload unwrapping the data is the whole body. A token of
Google can come with it, but it is no secret that the console shares.
"""

import base64
import binascii
from typing import Any

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, is_object, parse_object, split_reference, text
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "artifact_registry", "Google Artifact Registry", False
has_signature, check_signature = signatures.NONE
ACTIONS = ("INSERT", "DELETE")


def recognizes(headers: Headers, body: Body) -> bool:
    return is_object(body.get("message")) and "subscription" in body or is_unwrapped(body)


def is_unwrapped(body: Body) -> bool:
    return body.get("action") in ACTIONS and ("digest" in body or "tag" in body)


def read(headers: Headers, body: Body) -> Payload:
    message = body.get("message")
    data = body if is_unwrapped(body) else decode_data(dig(message, "data"))
    builder = PayloadBuilder(NAME, dig(data, "action"), dig(message, "messageId") or dig(message, "message_id"))
    if not is_unwrapped(data):
        builder.pass_over("The message of Pub/Sub contains no event of a registry.")
    elif data["action"] != "INSERT":
        builder.pass_over_event(data["action"], data.get("tag") or data.get("digest"))
    else:
        _, _, _, digest = split_reference(text(data.get("digest"))[:1000])
        builder.add_reference(data.get("tag") or data.get("digest"), digest=digest)
    return builder.finish()


def decode_data(data: Any) -> dict[str, Any]:
    try:
        return parse_object(base64.b64decode(text(data)))
    except (binascii.Error, ValueError):
        return {}
