"""Identity tokens (https://www.rfc-editor.org/rfc/rfc7519): whether one is authentic, in time, and for this console.

Of a token that is not verified, only the claim `iss` is read. Its key is one that its issuer publishes, with the one algorithm
that the key is for: never none, never an HMAC, and never a key or an address that the token brings along.
"""

import hashlib
import json
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triggers.refusals import CallRefused

if TYPE_CHECKING:
    from jwt import PyJWK

TOKEN_LENGTH = 16 * 1024  # characters; those of the known hosts have 1 to 2 thousand
TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
LEEWAY_SECONDS = 60
LATEST = 10**12  # seconds since 1970
KEYS_MAXIMUM = 100  # of one issuer
RSA_BITS = 2048
# The algorithm of a key, by its type and curve (https://www.rfc-editor.org/rfc/rfc7518#section-6, RFC 8037).
ALGORITHMS = {("RSA", ""): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}


class BadIdentity(CallRefused):
    """The token does not prove that a trusted job calls. The answer says no more; `parameter` names what did not fit, and
    `noted` says it, for the log and for the trigger's refused calls."""

    status, code, reason = 401, "identity", "identity"

    def __init__(self, parameter: str, noted: str) -> None:
        super().__init__(
            "The identity token is not one of a job that this trigger trusts. The trigger's refused calls say what did not fit."
        )
        self.parameter, self.noted = parameter, noted


@dataclass(frozen=True)
class UnverifiedToken:
    """A token as it was sent. Only these parts of it are used before it is verified."""

    text: str
    issuer: str
    key_id: str
    algorithm: str


@dataclass(frozen=True)
class IssuerKey:
    """A public key of an issuer, and the one algorithm that it is for."""

    algorithm: str
    key: "PyJWK"


def read_unverified(text: str) -> UnverifiedToken:
    """Raises BadIdentity for what is no token, or a token that no issuer's key can have signed."""
    if len(text) > TOKEN_LENGTH or not TOKEN.fullmatch(text):
        raise BadIdentity("token", "It is not a token of three parts and up to 16 kB.")
    parts = text.split(".")
    header, claims = read_part(parts[0]), read_part(parts[1])
    check_spelling(parts[2])
    issuer, key_id, algorithm = claims.get("iss"), header.get("kid"), header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS.values():
        raise BadIdentity("alg", f"It is signed with another algorithm than {', '.join(ALGORITHMS.values())}.")
    if header.keys() & {"crit", "b64"}:
        raise BadIdentity("crit", "Its header asks for extensions.")
    if not isinstance(issuer, str) or not isinstance(key_id, str):
        raise BadIdentity("iss", "It names no issuer or no key.")
    return UnverifiedToken(text, issuer, key_id, algorithm)


def decode_part(part: str) -> bytes:
    """Raises ValueError."""
    return urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))


def check_spelling(part: str) -> None:
    """Raise BadIdentity unless this is the one spelling of what it holds: nothing signs how a signature is written."""
    try:
        is_canonical = urlsafe_b64encode(decode_part(part)).rstrip(b"=") == part.encode("ascii")
    except ValueError:
        is_canonical = False
    if not is_canonical:
        raise BadIdentity("token", "It cannot be read.")


def read_part(part: str) -> dict[str, Any]:
    """Return the object that a part of a token holds. Raises BadIdentity, also for a name that stands there twice."""
    try:
        found = json.loads(decode_part(part), object_pairs_hook=refuse_duplicates, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadIdentity("token", "It cannot be read.")
    return found


def refuse_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    listed = list(pairs)
    found = dict(listed)
    if len(found) != len(listed):
        raise ValueError("a name stands twice")
    return found


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def read_key_set(document: Any) -> dict[str, IssuerKey]:
    """Return the keys of a JSON Web Key Set (https://www.rfc-editor.org/rfc/rfc7517#section-5) that can sign tokens, by id.
    Others, such as symmetric keys and weak ones, are left out."""
    listed = document.get("keys") if isinstance(document, dict) else None
    found = {}
    for described in listed[:KEYS_MAXIMUM] if isinstance(listed, list) else ():
        if isinstance(described, dict) and (key := read_key(described)):
            found[described["kid"]] = key
    return found


def read_key(described: Mapping[str, Any]) -> IssuerKey | None:
    from jwt import PyJWK  # with cryptography 7 MB, needed only by processes that verify tokens
    from jwt.exceptions import PyJWTError

    kind, curve = described.get("kty"), described.get("crv", "")
    algorithm = ALGORITHMS.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str) else None
    is_for_us = described.get("use", "sig") == "sig" and described.get("alg", algorithm) == algorithm
    if algorithm is None or not is_for_us or not isinstance(described.get("kid"), str):
        return None
    public = {name: value for name, value in described.items() if name in {"kty", "crv", "n", "e", "x", "y"}}
    try:
        key = PyJWK.from_dict(public, algorithm=algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and key.key.key_size < RSA_BITS:
        return None
    return IssuerKey(algorithm, key)


def verify_token(token: UnverifiedToken, key: IssuerKey) -> dict[str, Any]:
    """Return the claims of a token that the key has signed and that is valid now. Its audience is not checked: see
    `names_audience`. Raises BadIdentity."""
    import jwt

    if token.algorithm != key.algorithm:
        raise BadIdentity("alg", f"It is signed with {token.algorithm}, and its key is for {key.algorithm}.")
    options: Any = {"require": ["exp", "iss", "aud"], "verify_aud": False, "verify_exp": False, "verify_nbf": False}
    try:
        claims = jwt.decode(
            token.text,
            key.key,
            algorithms=[key.algorithm],
            issuer=token.issuer,
            options={**options, "verify_iat": False, "verify_sub": False, "verify_jti": False},
        )
    except jwt.InvalidSignatureError as error:
        raise BadIdentity("signature", "Its signature is wrong.") from error
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise BadIdentity("token", "It lacks a claim that it must have, or cannot be read.") from error
    check_times(claims, time.time())
    return claims


def check_times(claims: Mapping[str, Any], now: float) -> None:
    """Raises BadIdentity unless the token is valid at `now`, in seconds since 1970."""
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name, now)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
            raise BadIdentity(name, f"Its {name} is not a time.")
    if claims["exp"] <= now - LEEWAY_SECONDS:
        raise BadIdentity("exp", "It has expired.")
    for name in ("nbf", "iat"):
        if claims.get(name, now) > now + LEEWAY_SECONDS:
            raise BadIdentity(name, f"Its {name} is in the future: the clocks of the two hosts differ.")


def identify_token(token: UnverifiedToken, claims: Mapping[str, Any]) -> str:
    """Return the id of the token's delivery: its `jti`, or a digest of what is signed."""
    if isinstance(jti := claims.get("jti"), str) and jti and jti.isprintable():
        return f"identity {jti}"
    signed = token.text.rpartition(".")[0]
    return f"identity {hashlib.sha256(signed.encode()).hexdigest()}"


def names_audience(claims: Mapping[str, Any], audience: str) -> bool:
    named = claims.get("aud")
    return bool(audience) and audience in (named if isinstance(named, list) else [named])
