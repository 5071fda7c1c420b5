"""`WWW-Authenticate` of RFC 9110, and what a token says of itself."""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

HEADER_LIMIT = 8192  # characters of the header that are read
TOKEN = re.compile(r"[\x21-\x7e]{1,32768}")  # what a header may carry
# A scheme (a word alone) or a parameter (a word, `=` and a value that may be quoted).
PART = re.compile(r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?""")


@dataclass(frozen=True)
class Challenge:
    """`scheme` in lower case; the names of `parameters` too."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def realm(self) -> str:
        return self.parameters.get("realm", "")


def parse_challenges(header: str) -> list[Challenge]:
    """All challenges of the header, or of several joined by commas. What cannot be read is left out."""
    found: list[Challenge] = []
    for word, value, quoted, plain in PART.findall(header[:HEADER_LIMIT]):
        if not value:
            found.append(Challenge(word.lower()))
        elif found:
            found[-1].parameters.setdefault(word.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return found


def choose_challenge(header: str) -> Challenge | None:
    """Bearer where there is a realm to ask, else Basic, else None."""
    challenges = parse_challenges(header)
    bearers = [challenge for challenge in challenges if challenge.scheme == "bearer" and challenge.realm]
    basics = [challenge for challenge in challenges if challenge.scheme == "basic"]
    return next(iter(bearers + basics), None)


def read_json(text: bytes) -> Any:
    """None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_token(body: bytes) -> str:
    """`token` or `access_token` of a token endpoint's answer; empty where there is none that a header may carry."""
    answer = read_json(body)
    values = [answer.get("token"), answer.get("access_token")] if isinstance(answer, dict) else []
    return next((value for value in values if isinstance(value, str) and TOKEN.fullmatch(value)), "")


def grants_push(token: str, path: str) -> bool | None:
    """What the `access` claim says of a push to the repository. None: the token is none of Distribution's JSON web tokens.

    The signature is not verified: the registry's own endpoint gave the token, and the registry judges it at the push.
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
    """Empty where it is none."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
