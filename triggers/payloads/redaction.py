"""Redact the body of a message for storage and display: its JSON without secrets, short enough to read."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from triggers.payloads.fields import clean

BODY_LENGTH = 20_000  # characters kept of a body
KEY_LENGTH = 200
DEPTH_MAXIMUM = 30
PREVIEW_LENGTH = 200  # characters shown of a body that is not JSON
REDACTED = "[redacted]"
CUT = "[…]"

# Applied to names in lower case, reduced to letters and digits.
SECRET_NAME = re.compile(
    r"secret|token|passw|passphrase|pwd|signature|authorization|credential|apikey|accesskey|privatekey|signingkey|sharedkey"
    r"|subscriptionkey|callback|cookie|session|bearer|basicauth|auth$|^pass$|^pw$"
)
# Text that carries a secret. Repetitions are bounded where something must follow, so that time stays linear in the text.
PEM = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END|\Z)", re.DOTALL)
URL = re.compile(r"""\b[a-z][a-z0-9+.-]{0,20}://[^\s"'<>\\]+""", re.IGNORECASE)
QUERY = re.compile(r"""([?&][\w.-]{1,60})=[^\s&"'<>\\]+""")
SCHEME = re.compile(r"\b(bearer|basic)\s{1,5}[\w.~+/=-]{6,}", re.IGNORECASE)
KNOWN_TOKEN = re.compile(
    r"\beyJ[\w-]{8,2000}\.[\w.-]+|\b(?:gh[pousr]_|github_pat_|glpat-|dckr_pat_|AKIA|xox[abprs]-|hvs\.|wl_)[\w-]{8,}"
)
ASSIGNMENT = re.compile(
    r"((?:secret|token|passw(?:or)?d|passphrase|pwd|signature|authorization|credential|callback|cookie|api[_-]?key"
    r"|access[_-]?key|private[_-]?key|event-auth)[\w-]{0,40}"
    r"""(?:\\?["']?\s{0,5}=\s{0,5}|\\?["']\s{0,5}:\s{0,5}|\s{0,5}:?\s{1,5}))"""
    r"""(?:\\?"[^"]*"?|\\?'[^']*'?|[^\s"'&,;]+)""",
    re.IGNORECASE,
)
# The token of a registry's inbound link: senders repeat it in descriptions of their webhook.
INBOUND_LINK = re.compile(r"(/hook/registry/)[^/\s\"'<>?#\\]+")
PLAIN = re.compile(r"[\w.:@+-]*")  # contains no secret, except for a token with a known prefix
BASE64 = re.compile(r"ey?[A-Za-z0-9+/_-]{10,}={0,2}")


def redact(body: bytes | Mapping[str, Any] | list[Any], length: int = BODY_LENGTH) -> str:
    """Return the body as compact JSON with secrets replaced, at most `length` characters of it.

    A raw body that is neither JSON nor a form becomes a short description. The text has no NUL and can be encoded as UTF-8."""
    if not isinstance(body, bytes):
        return dump(Redactor(length).redact(body))[:length]
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = parse_form(body)
        if not value:
            return describe(body)[:length]
    return dump(Redactor(length).redact(value))[:length]


def parse_form(raw: bytes) -> dict[str, str]:
    """Return the fields of a form; none when the body is not a form."""
    if not re.match(rb"[\w.%+\[\]-]{1,100}=", raw):
        return {}
    return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"))


def describe(raw: bytes) -> str:
    preview = clean(redact_text(raw[: 4 * BODY_LENGTH].decode("utf-8", "replace")), PREVIEW_LENGTH)
    return f"Not JSON, {len(raw):,} bytes{f': {preview}' if preview else '.'}"


def dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Redactor:
    """Walks through a value until enough is kept for a body: the rest would be cut anyway."""

    def __init__(self, length: int = BODY_LENGTH) -> None:
        self.left = self.longest = length

    def redact(self, value: Any, depth: int = 0) -> Any:
        if self.left <= 0 or depth > DEPTH_MAXIMUM:
            return CUT
        self.left -= 1
        if isinstance(value, Mapping):
            return self._redact_object(value, depth)
        if isinstance(value, list):
            return self._redact_list(value, depth)
        return self._redact_string(value, depth) if isinstance(value, str) else value

    def _redact_object(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, item in value.items():
            if self.left <= 0:
                kept[CUT] = CUT
                break
            name = redact_text(key[:KEY_LENGTH])
            self.left -= len(name)
            kept[name] = REDACTED if is_secret_key(key) and item not in (None, "") else self.redact(item, depth + 1)
        return kept

    def _redact_list(self, value: list[Any], depth: int) -> list[Any]:
        kept: list[Any] = []
        for item in value:
            if self.left <= 0:
                return [*kept, CUT]
            kept.append(self.redact(item, depth + 1))
        return kept

    def _redact_string(self, value: str, depth: int) -> str:
        inner = parse_inner(value)
        if inner is not None:
            return dump(self.redact(inner, depth + 1))
        kept = redact_text(value, self.longest)
        self.left -= len(kept)
        return kept


def is_secret_key(name: str) -> bool:
    return bool(SECRET_NAME.search(re.sub(r"[^a-z0-9]", "", name[:KEY_LENGTH].lower())))


def parse_inner(value: str) -> Any:
    """Parse JSON within a string, as in SNS and forms, or in base64, as in Pub/Sub; None for any other text."""
    source: str | bytes = value.strip()
    if len(value) % 4 == 0 and BASE64.fullmatch(value):
        try:
            source = base64.b64decode(value, altchars=b"-_" if "-" in value or "_" in value else None)
        except binascii.Error:
            return None
    if source[:1] not in ("{", "[", b"{", b"["):
        return None
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


def redact_text(text: str, length: int = BODY_LENGTH) -> str:
    """Redact the text, without NUL and lone surrogates. A long text is cut between words, so that its end is no part of a
    secret."""
    text = text.replace("\0", "").encode("utf-8", "replace").decode()
    if len(text) > length:
        text = text[:length].rpartition(" ")[0] + CUT
    if PLAIN.fullmatch(text):
        return KNOWN_TOKEN.sub(REDACTED, text)
    text = PEM.sub(REDACTED, text)
    text = INBOUND_LINK.sub(rf"\1{REDACTED}", text)
    text = URL.sub(lambda match: redact_url(match.group()), text)
    text = QUERY.sub(rf"\1={REDACTED}", text)
    text = SCHEME.sub(rf"\1 {REDACTED}", text)
    text = KNOWN_TOKEN.sub(REDACTED, text)
    return ASSIGNMENT.sub(rf"\1{REDACTED}", text)


def redact_output(text: str) -> str:
    """Redact a line of a container's output, in which the engine's code has masked passwords: known tokens alone, so that the
    line can still be understood."""
    text = INBOUND_LINK.sub(rf"\1{REDACTED}", text.replace("\0", ""))
    return KNOWN_TOKEN.sub(REDACTED, SCHEME.sub(rf"\1 {REDACTED}", text))


def redact_url(url: str) -> str:
    """Return the URL without user, password, query and fragment."""
    scheme, _, rest = url.partition("://")
    address = re.split(r"[?#]", rest, maxsplit=1)
    authority, slash, path = address[0].partition("/")
    host = authority.rpartition("@")[2]
    user = f"{REDACTED}@" if host != authority else ""
    return f"{scheme}://{user}{host}{slash}{path}{f'?{REDACTED}' if len(address) > 1 else ''}"
