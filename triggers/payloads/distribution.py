"""Notifications of the Distribution registry (registry:2 and registry:3); GitLab's registry sends the same.

`{"events": [{"id", "action", "target": {"mediaType", "digest", "repository", "tag", "url"}, "request": {"host"}}]}`, from the
project's notifications.md. One push is many events: for layers, for manifests without a tag, and for one with a tag.
"""

from typing import Any

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, host_of_url, is_object, quote_value, text
from triggers.payloads.media_types import name_side_product
from triggers.payloads.payload import Body, Headers, Payload

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
    builder = PayloadBuilder(NAME)
    events = builder.take_list(body.get("events"))
    builder.event = ", ".join(dict.fromkeys(text(dig(event, "action")) for event in events))
    if len(events) == 1:  # an envelope has no id of its own
        builder.delivery_id = dig(events[0], "id")
    for event in events:
        read_event(builder, event)
    return builder.finish()


def read_event(builder: PayloadBuilder, event: Any) -> None:
    """Read one event. Azure's registry sends such an event as a whole message."""
    action, target = dig(event, "action"), dig(event, "target")
    repository, tag = dig(target, "repository"), dig(target, "tag")
    if action != "push":
        builder.pass_over_event(action, repository)
    elif not tag and is_layer(dig(target, "mediaType")):
        builder.pass_over(f"Layers of {quote_value(repository)} were pushed, which are not an image.")
    elif product := name_side_product(*list_media_types(target)):
        builder.pass_over(f"{quote_value(tag)} of {quote_value(repository)} is {product}, which is not an image.")
    else:
        # The registry builds the URL from its settings and its proxy's headers; the request's host can be an internal name.
        host = host_of_url(dig(target, "url")) or text(dig(event, "request", "host"))
        builder.add_push(repository, tag, dig(target, "digest"), host)


def is_layer(media_type: Any) -> bool:
    kind = text(media_type)
    return bool(kind) and "manifest" not in kind and "index" not in kind


def list_media_types(target: Any) -> list[Any]:
    """Return the media types of the manifest, its artifact and, where the registry's `includereferences` is set, its parts."""
    references = dig(target, "references")
    parts = references[:20] if isinstance(references, list) else []
    return [dig(target, "mediaType"), dig(target, "artifactType"), *(dig(part, "mediaType") for part in parts)]
