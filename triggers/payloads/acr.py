"""Azure Container Registry: one event in Distribution's format, `{"id", "timestamp", "action": "push", "target", "request"}`,
from Microsoft's webhook reference. It also sends events about charts, deletes and quarantine, and a ping from the portal.
"""

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.distribution import read_event
from triggers.payloads.fields import is_object
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "acr", "Azure Container Registry", False
has_signature, check_signature = signatures.AUTHORIZATION


def recognizes(headers: Headers, body: Body) -> bool:
    is_event = is_object(body.get("target")) or body.get("action") == "ping"
    return is_event and isinstance(body.get("action"), str) and "id" in body and "timestamp" in body


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, body.get("action"), body.get("id"))
    read_event(builder, body)
    return builder.finish()
