"""Reads `WWW-Authenticate` (RFC 9110) and the claims of tokens."""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

HEADER_LIMIT = 8192  # characters of the header that are read
TOKEN = re.compile(r"[\x21-\x7e]{1,32768}")  # characters that a header can carry
# A scheme (a word alone) or a parameter (a word, `=` and a value that can be quoted).
PART = re.compile(r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?""")


@dataclass(frozen=True)
class Challenge:
    """One challenge. `scheme` and the names of `parameters` are in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def realm(self) -> str:
        return self.parameters.get("realm", "")


def parse_challenges(header: str) -> list[Challenge]:
    """Return the challenges of one header, or of several joined by commas. Unreadable parts are left out."""
    found: list[Challenge] = []
    for word, value, quoted, plain in PART.findall(header[:HEADER_LIMIT]):
        if not value:
            found.append(Challenge(word.lower()))
        elif found:
            found[-1].parameters.setdefault(word.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return found


def choose_challenge(header: str) -> Challenge | None:
    """Return a Bearer challenge that has a realm, else a Basic one, else None."""
    challenges = parse_challenges(header)
    bearers = [challenge for challenge in challenges if challenge.scheme == "bearer" and challenge.realm]
    basics = [challenge for challenge in challenges if challenge.scheme == "basic"]
    return next(iter(bearers + basics), None)


def read_json(text: bytes) -> Any:
    """Return None where the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def parse_token(body: bytes) -> str:
    """Return `token` or `access_token` of a token endpoint's answer, or "" where neither fits into a header."""
    answer = read_json(body)
    values = [answer.get("token"), answer.get("access_token")] if isinstance(answer, dict) else []
    return next((value for value in values if isinstance(value, str) and TOKEN.fullmatch(value)), "")


def grants_push(token: str, path: str) -> bool | None:
    """Return whether the `access` claim allows a push to the repository.

    None where the token is not one of Distribution's JSON web tokens. The signature is not verified: the token comes from the
    registry's own endpoint, and the registry checks it at the push.
    """
    parts = token.split(".")
    claims = read_json(decode_base64url(parts[1])) if len(parts) == 3 else None
    access = claims.get("access") if isinstance(claims, dict) else None
    if not isinstance(access, list):
        return None
    return any(is_push_grant(grant, path) for grant in access)


def is_push_grant(grant: Any, path: str) -> bool:
    if not isinstance(grant, dict) or grant.get("type") != "repository" or grant.get("name") != path:
        return False
    actions = grant.get("actions")
    return isinstance(actions, list) and ("push" in actions or "*" in actions)


def decode_base64url(text: str) -> bytes:
    """Return b"" where the text is not base64url."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
