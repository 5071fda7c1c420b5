"""Harbor, in its default format (1.x and 2.x) and as CloudEvents.

`{"type": "PUSH_ARTIFACT", "event_data": {"resources": [{"digest", "tag", "resource_url"}], "repository": {"repo_full_name"}}}`
or `{"specversion", "type": "harbor.artifact.pushed", "data": {…}}`, from Harbor's src/pkg/notifier/formats. Only
`resource_url` contains the host; there, an artifact without a tag has its digest.
"""

from typing import Any

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, is_object, split_reference, text
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "harbor", "Harbor", False
has_signature, check_signature = signatures.AUTHORIZATION
PUSHES = ("PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed")


def recognizes(headers: Headers, body: Body) -> bool:
    kind = text(body.get("type"))
    if "specversion" in body:
        return kind.startswith("harbor.")
    return bool(kind) and is_object(body.get("event_data"))


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, body.get("type"), body.get("id") if "specversion" in body else "")
    data = body.get("data") if "specversion" in body else body.get("event_data")
    path = find_path(dig(data, "repository"))
    if body.get("type") not in PUSHES:
        builder.pass_over_event(body.get("type"), path)
        return builder.finish()
    for resource in builder.take_list(dig(data, "resources")):
        host, told_path, _, _ = split_reference(text(dig(resource, "resource_url"))[:1000])
        builder.add_push(path or told_path, dig(resource, "tag"), dig(resource, "digest"), host)
    return builder.finish()


def find_path(repository: Any) -> str:
    namespace, name = text(dig(repository, "namespace")), text(dig(repository, "name"))
    return text(dig(repository, "repo_full_name")) or (f"{namespace}/{name}" if name else "")
