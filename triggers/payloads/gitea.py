"""Gitea and Forgejo: `X-Gitea-Event: package`, sent by the webhooks of an owner and not by those of a repository.

`{"action": "created", "package": {"owner": {"login"}, "type": "container", "name", "version": "1.0", "html_url"}}`, from
modules/structs/package.go; the version is a digest for a manifest without a tag. Both send GitHub's headers as well.
"""

from urllib.parse import parse_qs

from triggers.payloads.fields import dig, host_of_url, show, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading
from triggers.payloads.signatures import HUB_HEADER, equals_hmac, has_hmac

NAME, LABEL, RELAYS = "gitea", "Gitea or Forgejo", False
FLAVOURS = ("x-forgejo", "x-gitea")
SIGNATURES = ("x-forgejo-signature", "x-gitea-signature", HUB_HEADER)


def find_header(headers: Headers, name: str) -> str:
    return next((headers[key] for flavour in FLAVOURS if headers.get(key := f"{flavour}-{name}")), "")


def recognizes(headers: Headers, body: Body) -> bool:
    return bool(find_header(headers, "event"))


def read(headers: Headers, body: Body) -> Payload:
    event = find_header(headers, "event").lower()
    reading = Reading(NAME, event, find_header(headers, "delivery"))
    if event != "package":
        return reading.leave(f"{show(event)} is not about packages: choose the event Package at the owner's webhooks.")
    package = body.get("package")
    if text(dig(package, "type")).lower() != "container":
        return reading.leave(f"The package {show(dig(package, 'name'))} is no container image.")
    if body.get("action") != "created":
        reading.pass_over_event(body.get("action"), dig(package, "name"))
        return reading.finish()
    name = f"{text(dig(package, 'owner', 'login'))}/{text(dig(package, 'name'))}"
    reading.push(name, dig(package, "version"), host=host_of_url(dig(package, "html_url")))
    return reading.finish()


def has_signature(headers: Headers) -> bool:
    return any(has_hmac(headers, name) for name in SIGNATURES)


def check_signature(headers: Headers, raw: bytes, secret: str) -> bool:
    """Of the JSON: that is the raw body, or in a form the value of its field."""
    signed = read_form(raw) if raw.startswith(b"payload=") else raw
    return any(equals_hmac(headers.get(name, ""), signed, secret) for name in SIGNATURES)


def read_form(raw: bytes) -> bytes:
    fields = parse_qs(raw.decode("ascii", "replace"), max_num_fields=None, errors="surrogateescape")
    return fields.get("payload", [""])[0].encode(errors="surrogateescape")
