"""Azure Container Registry: one event as Distribution has them, `{"id", "timestamp", "action": "push", "target", "request"}`,
from Microsoft's webhook reference. It also tells of charts, deletes, quarantine and a ping from the portal.
"""

from triggers.payloads import signatures
from triggers.payloads.distribution import read_event
from triggers.payloads.fields import is_object
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

NAME, LABEL, RELAYS = "acr", "Azure Container Registry", False
has_signature, check_signature = signatures.AUTHORIZATION


def recognizes(headers: Headers, body: Body) -> bool:
    told = is_object(body.get("target")) or body.get("action") == "ping"
    return told and isinstance(body.get("action"), str) and "id" in body and "timestamp" in body


def read(headers: Headers, body: Body) -> Payload:
    reading = Reading(NAME, body.get("action"), body.get("id"))
    read_event(reading, body)
    return reading.finish()
