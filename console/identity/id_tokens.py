"""Verifies ID tokens (OpenID Connect Core 1.0, section 3.1.3.7): signature, issuer, audience, times and nonce.

It imports PyJWT and cryptography, so it is imported at the first sign-in.
"""

import re
import threading
import time
from typing import Any

import jwt
import structlog
from django.utils.crypto import constant_time_compare

from console.identity.errors import IdentityError
from console.identity.outgoing import request_json
from console.identity.providers import Provider

log = structlog.get_logger("windlass.identity")

# By the key's type, so that no key is used for an algorithm of another kind. A shared secret is never a key.
ALGORITHMS = {
    "RSA": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "EC": ["ES256", "ES384", "ES512"],
    "OKP": ["EdDSA"],
}
LEEWAY = 60  # seconds that the clocks may differ
KEEP_SECONDS = 600.0  # the provider's keys
ASK_SECONDS = 60.0  # between two requests for a key that was not there
LONGEST = 65_536  # characters of a token


class Keys:
    """The providers' keys, kept in this process. Any thread can use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, list[jwt.PyJWK]]] = {}

    def find(self, url: str, key_id: str | None, deadline: float) -> jwt.PyJWK | None:
        """Return the key. An unknown one is asked for anew, once in a while: it may have been added."""
        with self._lock:
            fetched, keys = self._known.get(url, (float("-inf"), []))
        age = time.monotonic() - fetched
        found = _choose(keys, key_id)
        if age < ASK_SECONDS or (found and age < KEEP_SECONDS):
            return found
        keys = fetch_keys(url, deadline)
        with self._lock:
            self._known[url] = (time.monotonic(), keys)
        return _choose(keys, key_id)

    def forget(self) -> None:
        with self._lock:
            self._known.clear()


known_keys = Keys()


def fetch_keys(url: str, deadline: float) -> list[jwt.PyJWK]:
    status, document = request_json(url, deadline)
    listed = document.get("keys")
    if status != 200 or not isinstance(listed, list):
        raise IdentityError("bad_answer", f"The provider does not show its keys (it answers {status}). Try again later.")
    found = []
    for each in listed[:100]:
        if isinstance(each, dict) and each.get("use", "sig") == "sig" and each.get("kty") in ALGORITHMS:
            try:
                found.append(jwt.PyJWK(each))
            except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
                log.info("a key of an identity provider was left out", error=str(error)[:200])
    return found


def _choose(keys: list[jwt.PyJWK], key_id: str | None) -> jwt.PyJWK | None:
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.key_id == key_id), None)


def verify_id_token(provider: Provider, keys_url: str, token: str, nonce: str, deadline: float) -> dict[str, Any]:
    """Return the token's claims. Raises IdentityError (`token`, `nonce`), and what fetching keys raises."""
    if not token or len(token) > LONGEST:
        raise IdentityError(
            "token", f"{provider.name} sent no ID token. An administrator can check its scopes: they need openid."
        )
    try:
        header = jwt.get_unverified_header(token)
        if str(header.get("alg", "")).startswith("HS"):
            raise IdentityError(
                "token",
                f"{provider.name} signs with the client's secret. Choose a signing key there (RS256).",
            )
        key_id = header.get("kid")
        key = known_keys.find(keys_url, key_id if isinstance(key_id, str) else None, deadline)
        if key is None:
            raise IdentityError("token", f"The answer of {provider.name} is signed with an unknown key. You are not signed in.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=ALGORITHMS[str(key.key_type)],
            issuer=provider.issuer,
            audience=provider.client_id,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        log.warning("an ID token was refused", provider=provider.name, error=str(error)[:200])
        raise IdentityError(
            "token", f"The answer of {provider.name} could not be verified. You are not signed in. Begin anew."
        ) from error
    audience = claims["aud"]
    is_alone = isinstance(audience, str) or len(audience) == 1
    if claims.get("azp", provider.client_id if is_alone else None) != provider.client_id:
        raise IdentityError("token", f"The answer of {provider.name} was made for another application. You are not signed in.")
    given = claims.get("nonce")
    if not isinstance(given, str) or not constant_time_compare(given, nonce):
        raise IdentityError("nonce", f"The answer of {provider.name} belongs to another sign-in. Begin anew.")
    if not isinstance(claims["sub"], str) or not re.fullmatch(r"[ -~]{1,191}", claims["sub"]):
        raise IdentityError("token", f"{provider.name} names you in a way that cannot be kept.")
    return claims
