"""Harbor, in its default format (1.x and 2.x) and as CloudEvents.

`{"type": "PUSH_ARTIFACT", "event_data": {"resources": [{"digest", "tag", "resource_url"}], "repository": {"repo_full_name"}}}`
or `{"specversion", "type": "harbor.artifact.pushed", "data": {…}}`, from Harbor's src/pkg/notifier/formats. The host stands in
`resource_url` alone; an artifact without a tag has its digest there.
"""

from typing import Any

from triggers.payloads import signatures
from triggers.payloads.fields import dig, is_object, split_reference, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

NAME, LABEL, RELAYS = "harbor", "Harbor", False
has_signature, check_signature = signatures.AUTHORIZATION
PUSHES = ("PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed")


def recognizes(headers: Headers, body: Body) -> bool:
    kind = text(body.get("type"))
    if "specversion" in body:
        return kind.startswith("harbor.")
    return bool(kind) and is_object(body.get("event_data"))


def read(headers: Headers, body: Body) -> Payload:
    reading = Reading(NAME, body.get("type"), body.get("id") if "specversion" in body else "")
    data = body.get("data") if "specversion" in body else body.get("event_data")
    path = find_path(dig(data, "repository"))
    if body.get("type") not in PUSHES:
        reading.pass_over_event(body.get("type"), path)
        return reading.finish()
    for resource in reading.take(dig(data, "resources")):
        host, told_path, _, _ = split_reference(text(dig(resource, "resource_url"))[:1000])
        reading.push(path or told_path, dig(resource, "tag"), dig(resource, "digest"), host)
    return reading.finish()


def find_path(repository: Any) -> str:
    namespace, name = text(dig(repository, "namespace")), text(dig(repository, "name"))
    return text(dig(repository, "repo_full_name")) or (f"{namespace}/{name}" if name else "")
