"""JFrog Artifactory: `{"domain": "docker", "event_type": "pushed", "data": {"repo_key", "image_name", "tag", "sha256"},
"jpd_origin"}`, from JFrog's webhook reference.

Images have the repository's key in their path, unless the repository has a host or a port of its own. The message does not say
which, so a push is reported both ways. X-JFrog-Event-Auth holds the secret itself, or the body's HMAC with it.
"""

from clusters.registry.reference import is_digest
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, host_of_url, is_object, quote_value, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.signatures import equals, equals_hmac

NAME, LABEL, RELAYS = "artifactory", "JFrog Artifactory", False
HEADER = "x-jfrog-event-auth"


def recognizes(headers: Headers, body: Body) -> bool:
    return "domain" in body and "event_type" in body and is_object(body.get("data"))


def read(headers: Headers, body: Body) -> Payload:
    data, domain = body.get("data"), body.get("domain")
    builder = PayloadBuilder(NAME, body.get("event_type"))
    name, key = text(dig(data, "image_name")), text(dig(data, "repo_key"))
    if domain != "docker":
        return builder.finish_unrelated(f"The domain {quote_value(domain)} is not for container images.")
    if body.get("event_type") != "pushed":
        builder.pass_over_event(body.get("event_type"), name)
        return builder.finish()
    checksum = dig(data, "sha256")
    digest = f"sha256:{checksum}" if isinstance(checksum, str) and is_digest(f"sha256:{checksum}") else checksum
    if key:
        builder.add_push(f"{key}/{name}", dig(data, "tag"), digest, host_of_url(body.get("jpd_origin")))
    builder.add_push(name, dig(data, "tag"), digest)
    return builder.finish()


def has_signature(headers: Headers) -> bool:
    return bool(headers.get(HEADER, "").strip())


def check_signature(headers: Headers, raw: bytes, secret: str) -> bool:
    given = headers.get(HEADER, "").strip()
    return equals(given, secret) | equals_hmac(given, raw, secret)
