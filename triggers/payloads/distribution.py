"""Notifications of the Distribution registry (registry:2 and registry:3), which GitLab's registry sends as well.

`{"events": [{"id", "action", "target": {"mediaType", "digest", "repository", "tag", "url"}, "request": {"host"}}]}`, as the
project's notifications.md has it. One push is many events: of layers, of manifests without a tag, and of one with it.
"""

from typing import Any

from triggers.payloads import signatures
from triggers.payloads.fields import dig, host_of_url, is_object, show, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

NAME, LABEL, RELAYS = "distribution", "Distribution (registry:2, registry:3, GitLab)", False
has_signature, check_signature = signatures.AUTHORIZATION
MEDIA_TYPE = "application/vnd.docker.distribution.events."


def recognizes(headers: Headers, body: Body) -> bool:
    events = body.get("events")
    if not isinstance(events, list):
        return False
    is_event = bool(events) and is_object(events[0]) and "action" in events[0] and "target" in events[0]
    return is_event or headers.get("content-type", "").startswith(MEDIA_TYPE)


def read(headers: Headers, body: Body) -> Payload:
    reading = Reading(NAME)
    events = reading.take(body.get("events"))
    reading.event = ", ".join(dict.fromkeys(text(dig(event, "action")) for event in events))
    if len(events) == 1:  # an envelope has no id of its own
        reading.delivery_id = dig(events[0], "id")
    for event in events:
        read_event(reading, event)
    return reading.finish()


def read_event(reading: Reading, event: Any) -> None:
    """One event, of which Azure's registry makes a whole message."""
    action, target = dig(event, "action"), dig(event, "target")
    repository, tag = dig(target, "repository"), dig(target, "tag")
    if action != "push":
        reading.pass_over_event(action, repository)
    elif not tag and is_layer(dig(target, "mediaType")):
        reading.pass_over(f"Layers of {show(repository)} arrived, which are no image.")
    else:
        # The registry makes the address from its settings and its proxy's headers; the request may have an inner name.
        host = host_of_url(dig(target, "url")) or text(dig(event, "request", "host"))
        reading.push(repository, tag, dig(target, "digest"), host)


def is_layer(media_type: Any) -> bool:
    kind = text(media_type)
    return bool(kind) and "manifest" not in kind and "index" not in kind
