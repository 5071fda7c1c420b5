"""GitHub Packages: `X-GitHub-Event: package` or `registry_package`, an event for every manifest.

`{"action": "published", "package": {"package_version": {"version": "sha256:…", "package_url": "ghcr.io/owner/app:1",
"container_metadata": {"tag": {"name", "digest"}}}}}`, or the same under `registry_package`, as in octokit/webhooks. The tag's
name is empty, or a digest, for a manifest without one; package_url then ends with a colon.
"""

from typing import Any

from clusters.registry.reference import is_digest
from triggers.payloads import signatures
from triggers.payloads.fields import dig, is_object, show, split_reference, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

NAME, LABEL, RELAYS = "github", "GitHub Packages", False
has_signature, check_signature = signatures.HUB_SIGNATURE
EVENTS = ("package", "registry_package")
PUSHES = ("published", "updated")
CONTAINERS = ("container", "docker")


def recognizes(headers: Headers, body: Body) -> bool:
    return bool(headers.get("x-github-event"))


def read(headers: Headers, body: Body) -> Payload:
    event = headers.get("x-github-event", "").lower()
    reading = Reading(NAME, event, headers.get("x-github-delivery"))
    if event == "ping":
        reading.pass_over("A ping: the webhook is set up.")
        return reading.finish()
    if event not in EVENTS:
        return reading.leave(f"{show(event)} is not about packages: choose the event registry_package.")
    package = next((body[key] for key in EVENTS if is_object(body.get(key))), None)
    if not is_container(package):
        return reading.leave(f"The package {show(dig(package, 'name'))} is no container image.")
    if body.get("action") not in PUSHES:
        reading.pass_over_event(body.get("action"), dig(package, "name"))
        return reading.finish()
    read_package(reading, package)
    return reading.finish()


def is_container(package: Any) -> bool:
    kinds = (dig(package, "package_type"), dig(package, "ecosystem"), dig(package, "registry", "type"))
    return any(text(kind).lower() in CONTAINERS for kind in kinds)


def read_package(reading: Reading, package: Any) -> None:
    version = dig(package, "package_version")
    host, path, _, _ = split_reference(text(dig(version, "package_url"))[:1000])
    owner = text(dig(package, "owner", "login")) or text(dig(package, "namespace"))
    name = path if host else f"{owner}/{text(dig(package, 'name'))}"
    tag = dig(version, "container_metadata", "tag")
    # The version is the manifest's digest; what stands beside the tag has been seen to be a commit's.
    digest = dig(version, "version")
    if not (isinstance(digest, str) and is_digest(digest)):
        digest = dig(tag, "digest")
    reading.push(name, dig(tag, "name"), digest, host or "ghcr.io")
