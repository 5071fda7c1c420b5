"""Quay: `{"repository", "docker_url": "quay.io/team/app", "updated_tags": ["latest", "1.2"]}`, without digest or signature.

Its notifications about builds and vulnerabilities have the same first fields and no tags.
"""

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import is_object, split_reference, text
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "quay", "Quay", False
has_signature, check_signature = signatures.NONE


def recognizes(headers: Headers, body: Body) -> bool:
    return "docker_url" in body and "repository" in body


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, find_event(body))
    host, path, _, _ = split_reference(text(body.get("docker_url"))[:1000])
    path = path or text(body.get("repository"))
    tags = body.get("updated_tags")
    if "updated_tags" not in body:
        builder.pass_over_event(builder.event or "A notification", path)
        return builder.finish()
    # In older releases the tags are the keys of an object.
    for tag in builder.take_list(list(tags) if is_object(tags) else tags) or [None]:
        builder.add_push(path, tag, host=host)
    return builder.finish()


def find_event(body: Body) -> str:
    """Return Quay's name of the notification. The message itself does not contain it."""
    if "updated_tags" in body:
        return "repo_push"
    return "vulnerability_found" if "vulnerability" in body else "build" if "build_id" in body else ""
