"""Gitea and Forgejo: `X-Gitea-Event: package`. The webhooks of an owner send it, those of a repository do not.

`{"action": "created", "package": {"owner": {"login"}, "type": "container", "name", "version": "1.0", "html_url"}}`, from
modules/structs/package.go; the version of a manifest without a tag is its digest. Both also send GitHub's headers.
"""

from urllib.parse import parse_qs

from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, host_of_url, quote_value, text
from triggers.payloads.payload import Body, Headers, Payload
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
    builder = PayloadBuilder(NAME, event, find_header(headers, "delivery"))
    if event != "package":
        return builder.finish_unrelated(
            f"{quote_value(event)} is not about packages: choose the event Package in the owner's webhook."
        )
    package = body.get("package")
    if text(dig(package, "type")).lower() != "container":
        return builder.finish_unrelated(f"The package {quote_value(dig(package, 'name'))} is not a container image.")
    if body.get("action") != "created":
        builder.pass_over_event(body.get("action"), dig(package, "name"))
        return builder.finish()
    name = f"{text(dig(package, 'owner', 'login'))}/{text(dig(package, 'name'))}"
    builder.add_push(name, dig(package, "version"), host=host_of_url(dig(package, "html_url")))
    return builder.finish()


def has_signature(headers: Headers) -> bool:
    return any(has_hmac(headers, name) for name in SIGNATURES)


def check_signature(headers: Headers, raw: bytes, secret: str) -> bool:
    """Check the signature of the JSON: the raw body, or the value of the form's `payload` field."""
    signed = read_form(raw) if raw.startswith(b"payload=") else raw
    return any(equals_hmac(headers.get(name, ""), signed, secret) for name in SIGNATURES)


def read_form(raw: bytes) -> bytes:
    fields = parse_qs(raw.decode("ascii", "replace"), max_num_fields=None, errors="surrogateescape")
    return fields.get("payload", [""])[0].encode(errors="surrogateescape")
