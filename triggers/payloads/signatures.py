"""Check that a message is from its sender: by an HMAC of the raw body, or by a fixed value in a header.

Values are compared in constant time. A malformed or non-ASCII value is wrong; with an empty secret nothing is authentic.
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
    """Compare the header with the secret: it is the value that was entered at the sender, with or without `Bearer`."""
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
    """Return whether the header holds an HMAC. Some senders send it empty, or only `sha256=`, when no secret is set."""
    return bool(headers.get(name, "").strip().lower().removeprefix("sha256="))


def equals_hmac(given: str, raw: bytes, secret: str, algorithm: str = "sha256") -> bool:
    """Compare with `given`, an HMAC in hex, with or without the algorithm's name and `=` before it."""
    digest = hmac.new(secret.encode(errors="replace"), raw, getattr(hashlib, algorithm)).hexdigest()
    return equals(given.strip().lower().removeprefix(f"{algorithm}="), digest) and bool(secret)


def equals(given: str, wanted: str) -> bool:
    same = hmac.compare_digest(given.encode(errors="replace"), wanted.encode(errors="replace"))
    return same and bool(wanted) and given.isascii()


# A sender's module takes one of these as `has_signature, check_signature`. NONE is for senders that can neither sign nor send a
# custom header: their link is their only secret.
NONE = (has_none, check_none)
AUTHORIZATION = (has_authorization, check_authorization)
HUB_SIGNATURE = (has_hub_signature, check_hub_signature)
HUB_SIGNATURE_OR_AUTHORIZATION = (has_hub_signature_or_authorization, check_hub_signature_or_authorization)
