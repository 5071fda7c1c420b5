"""Quay: `{"repository", "docker_url": "quay.io/team/app", "updated_tags": ["latest", "1.2"]}`, without digest or signature.

Its other notifications, of builds and of vulnerabilities, have the same first fields and no tags.
"""

from triggers.payloads import signatures
from triggers.payloads.fields import is_object, split_reference, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

NAME, LABEL, RELAYS = "quay", "Quay", False
has_signature, check_signature = signatures.NONE


def recognizes(headers: Headers, body: Body) -> bool:
    return "docker_url" in body and "repository" in body


def read(headers: Headers, body: Body) -> Payload:
    reading = Reading(NAME, find_event(body))
    host, path, _, _ = split_reference(text(body.get("docker_url"))[:1000])
    path = path or text(body.get("repository"))
    tags = body.get("updated_tags")
    if "updated_tags" not in body:
        reading.pass_over_event(reading.event or "A notification", path)
        return reading.finish()
    # Older releases have an object of tags.
    for tag in reading.take(list(tags) if is_object(tags) else tags) or [None]:
        reading.push(path, tag, host=host)
    return reading.finish()


def find_event(body: Body) -> str:
    """By the names of Quay's notifications; the message itself names none."""
    if "updated_tags" in body:
        return "repo_push"
    return "vulnerability_found" if "vulnerability" in body else "build" if "build_id" in body else ""
