"""How senders prove that a message is theirs: an HMAC of the raw body, or a fixed value in a header.

Compared in constant time. What is malformed, or holds other than ASCII, is wrong; an empty secret makes nothing authentic.
"""

import hashlib
import hmac

from triggers.payloads.payload import Headers

HUB_HEADER = "x-hub-signature-256"
AUTHORIZATION_HEADER = "authorization"


def has_none(headers: Headers) -> bool:
    return False


def check_none(headers: Headers, raw: bytes, secret: str) -> bool:
    return False


def has_authorization(headers: Headers) -> bool:
    return bool(headers.get(AUTHORIZATION_HEADER, "").strip())


def check_authorization(headers: Headers, raw: bytes, secret: str) -> bool:
    """A fixed value, as entered at the sender: with or without `Bearer` before it."""
    given = headers.get(AUTHORIZATION_HEADER, "").strip()
    scheme, _, credentials = given.partition(" ")
    alone = credentials.strip() if scheme.lower() == "bearer" else given
    return equals(given, secret) | equals(alone, secret)


def has_hub_signature(headers: Headers) -> bool:
    return has_hmac(headers, HUB_HEADER)


def check_hub_signature(headers: Headers, raw: bytes, secret: str) -> bool:
    return equals_hmac(headers.get(HUB_HEADER, ""), raw, secret)


def has_hub_signature_or_authorization(headers: Headers) -> bool:
    return has_hub_signature(headers) or has_authorization(headers)


def check_hub_signature_or_authorization(headers: Headers, raw: bytes, secret: str) -> bool:
    return check_hub_signature(headers, raw, secret) | check_authorization(headers, raw, secret)


def has_hmac(headers: Headers, name: str) -> bool:
    """Some write the header, or its `sha256=`, also where no secret is set."""
    return bool(headers.get(name, "").strip().lower().removeprefix("sha256="))


def equals_hmac(given: str, raw: bytes, secret: str, algorithm: str = "sha256") -> bool:
    """`given` in hex, with or without the algorithm's name and `=` before it."""
    digest = hmac.new(secret.encode(errors="replace"), raw, getattr(hashlib, algorithm)).hexdigest()
    return equals(given.strip().lower().removeprefix(f"{algorithm}="), digest) and bool(secret)


def equals(given: str, wanted: str) -> bool:
    same = hmac.compare_digest(given.encode(errors="replace"), wanted.encode(errors="replace"))
    return same and bool(wanted) and given.isascii()


# What a sender's module offers as `has_signature, check_signature`. NONE is for those that can neither sign nor send a header
# of one's own: their link alone is their secret.
NONE = (has_none, check_none)
AUTHORIZATION = (has_authorization, check_authorization)
HUB_SIGNATURE = (has_hub_signature, check_hub_signature)
HUB_SIGNATURE_OR_AUTHORIZATION = (has_hub_signature_or_authorization, check_hub_signature_or_authorization)
