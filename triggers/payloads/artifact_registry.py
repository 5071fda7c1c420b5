"""Google Artifact Registry and Container Registry, which speak through Pub/Sub.

`{"message": {"data": <base64>, "messageId"}, "subscription"}`; the data is `{"action": "INSERT", "digest":
"host/project/app@sha256:…", "tag": "host/project/app:1"}`, and with payload unwrapping that is the whole body. A token of
Google's may come with it, which is no secret shared with us.
"""

import base64
import binascii
from typing import Any

from triggers.payloads import signatures
from triggers.payloads.fields import dig, is_object, parse_object, split_reference, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

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
    reading = Reading(NAME, dig(data, "action"), dig(message, "messageId") or dig(message, "message_id"))
    if not is_unwrapped(data):
        reading.pass_over("The message of Pub/Sub holds no event of a registry.")
    elif data["action"] != "INSERT":
        reading.pass_over_event(data["action"], data.get("tag") or data.get("digest"))
    else:
        _, _, _, digest = split_reference(text(data.get("digest"))[:1000])
        reading.push_reference(data.get("tag") or data.get("digest"), digest=digest)
    return reading.finish()


def decode_data(data: Any) -> dict[str, Any]:
    try:
        return parse_object(base64.b64decode(text(data)))
    except (binascii.Error, ValueError):
        return {}
