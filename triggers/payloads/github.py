"""GitHub Packages: `X-GitHub-Event: package` or `registry_package`, one event for every manifest.

`{"action": "published", "package": {"package_version": {"version": "sha256:…", "package_url": "ghcr.io/owner/app:1",
"container_metadata": {"tag": {"name", "digest"}}}}}`, or the same under `registry_package`, from octokit/webhooks. For a
manifest without a tag, the tag's name is empty or a digest, and package_url ends with a colon.
"""

from typing import Any

from clusters.registry.reference import is_digest
from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, is_object, quote_value, split_reference, text
from triggers.payloads.media_types import name_side_product
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "github", "GitHub Packages", False
has_signature, check_signature = signatures.HUB_SIGNATURE
EVENTS = ("package", "registry_package")
PUSHES = ("published", "updated")
CONTAINERS = ("container", "docker")


def recognizes(headers: Headers, body: Body) -> bool:
    return bool(headers.get("x-github-event"))


def read(headers: Headers, body: Body) -> Payload:
    event = headers.get("x-github-event", "").lower()
    builder = PayloadBuilder(NAME, event, headers.get("x-github-delivery"))
    if event == "ping":
        builder.pass_over("A ping: the webhook is set up.")
        return builder.finish()
    if event not in EVENTS:
        return builder.finish_unrelated(f"{quote_value(event)} is not about packages: choose the event registry_package.")
    package = next((body[key] for key in EVENTS if is_object(body.get(key))), None)
    if not is_container(package):
        return builder.finish_unrelated(f"The package {quote_value(dig(package, 'name'))} is not a container image.")
    if body.get("action") not in PUSHES:
        builder.pass_over_event(body.get("action"), dig(package, "name"))
        return builder.finish()
    read_package(builder, package)
    return builder.finish()


def is_container(package: Any) -> bool:
    kinds = (dig(package, "package_type"), dig(package, "ecosystem"), dig(package, "registry", "type"))
    return any(text(kind).lower() in CONTAINERS for kind in kinds)


def read_package(builder: PayloadBuilder, package: Any) -> None:
    version = dig(package, "package_version")
    host, path, _, _ = split_reference(text(dig(version, "package_url"))[:1000])
    owner = text(dig(package, "owner", "login")) or text(dig(package, "namespace"))
    name = path if host else f"{owner}/{text(dig(package, 'name'))}"
    tag, manifest = dig(version, "container_metadata", "tag"), dig(version, "container_metadata", "manifest")
    layers = dig(manifest, "layers")
    layer = layers[0] if isinstance(layers, list) and layers else None
    kinds = (dig(manifest, "media_type"), dig(manifest, "config", "media_type"), dig(layer, "media_type"))
    if product := name_side_product(*kinds):
        builder.pass_over(f"{quote_value(dig(tag, 'name'))} of {quote_value(name)} is {product}, which is not an image.")
        return
    # The version is the manifest's digest; the digest beside the tag has been seen to be a commit's.
    digest = dig(version, "version")
    if not (isinstance(digest, str) and is_digest(digest)):
        digest = dig(tag, "digest")
    builder.add_push(name, dig(tag, "name"), digest, host or "ghcr.io")
