"""Harbor, in its default format (1.x and 2.x) and as CloudEvents.

`{"type": "PUSH_ARTIFACT", "event_data": {"resources": [{"digest", "tag", "resource_url"}], "repository": {"repo_full_name"}}}`
or `{"specversion", "type": "harbor.artifact.pushed", "data": {…}}`, from Harbor's src/pkg/notifier/formats. Only
`resource_url` contains the host; there, an artifact without a tag has its digest.

A replication is `{"type": "REPLICATION", "event_data": {"replication": {"job_status": "Success", "dest_resource": {"endpoint",
"namespace"}, "successful_artifact": [{"type": "image", "status": "Success", "name_tag": "app:1.2"}]}}}`, from Harbor's
src/controller/event/handler/webhook/artifact/replication.go. It arrives when it begins and when it ends, and has no digest.
"""

import re
from typing import Any

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, host_of_url, is_object, quote_value, split_reference, text
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "harbor", "Harbor", False
has_signature, check_signature = signatures.AUTHORIZATION
PUSHES = ("PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed")
REPLICATIONS = ("REPLICATION", "harbor.replication.status.changed")
DONE = ("success", "succeed", "succeeded")
IMAGES = ("", "image", "artifact")
COUNT = re.compile(r"\s{0,3}\[.{0,40}\]\s{0,3}")  # "app [1 item(s) in total]": such a message does not name the tags


def recognizes(headers: Headers, body: Body) -> bool:
    kind = text(body.get("type"))
    if "specversion" in body:
        return kind.startswith("harbor.")
    return bool(kind) and is_object(body.get("event_data"))


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, body.get("type"), body.get("id") if "specversion" in body else "")
    data = body.get("data") if "specversion" in body else body.get("event_data")
    if body.get("type") in REPLICATIONS:
        read_replication(builder, dig(data, "replication"))
        return builder.finish()
    path = find_path(dig(data, "repository"))
    if body.get("type") not in PUSHES:
        builder.pass_over_event(body.get("type"), path)
        return builder.finish()
    for resource in builder.take_list(dig(data, "resources")):
        host, told_path, _, _ = split_reference(text(dig(resource, "resource_url"))[:1000])
        builder.add_push(path or told_path, dig(resource, "tag"), dig(resource, "digest"), host)
    return builder.finish()


def read_replication(builder: PayloadBuilder, replication: Any) -> None:
    """Add the tags that a replication has brought to its destination."""
    status, destination = text(dig(replication, "job_status")), dig(replication, "dest_resource")
    if status.lower() not in DONE:
        builder.pass_over(f"A replication whose status is {quote_value(status)} has brought nothing yet.")
        return
    host, namespace = host_of_url(dig(destination, "endpoint")), text(dig(destination, "namespace"))
    for artifact in builder.take_list(dig(replication, "successful_artifact")):
        name_tag = COUNT.sub("", text(dig(artifact, "name_tag"))[:1000])
        _, name, tag, digest = split_reference(name_tag)
        if text(dig(artifact, "type")) not in IMAGES or text(dig(artifact, "status")).lower() not in DONE:
            builder.pass_over(f"{quote_value(name_tag)} is not an image that was replicated.")
        elif not (tag or digest):
            builder.pass_over(f"The replication of {quote_value(name_tag)} does not name its tags.")
        else:
            path = f"{namespace}/{name.removeprefix(f'{namespace}/')}" if namespace else name
            builder.add_push(path, tag, digest, host, host_counts=bool(host))


def find_path(repository: Any) -> str:
    namespace, name = text(dig(repository, "namespace")), text(dig(repository, "name"))
    return text(dig(repository, "repo_full_name")) or (f"{namespace}/{name}" if name else "")
