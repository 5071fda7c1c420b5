"""The documented link format: `/hook/trigger?triggerUrl=<base64>&secret=<64 hex>`.

`triggerUrl` is standard base64 with padding of `cluster|application|action|id|extra`. The id alone finds the trigger; the
other fields must match it. Windlass leaves `extra` empty, as the documented examples do.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass

ID_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
ID_LENGTH = 13
HOOK_PATH = "/hook/trigger"


def make_public_id() -> str:
    """13 random characters of 0-9a-v."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))


def make_secret() -> str:
    """64 hex digits."""
    return secrets.token_hex(32)


@dataclass(frozen=True)
class LinkFields:
    cluster: str
    application: str
    action: str
    id: str
    extra: str = ""


class MalformedLink(ValueError):
    """A `triggerUrl` that no console wrote; the message says what is wrong."""


def encode_trigger_url(fields: LinkFields) -> str:
    text = "|".join((fields.cluster, fields.application, fields.action, fields.id, fields.extra))
    return base64.b64encode(text.encode()).decode()


def decode_trigger_url(value: str) -> LinkFields:
    """Raises MalformedLink. A `+` that a query parser turned into a space is turned back."""
    try:
        text = base64.b64decode(value.replace(" ", "+"), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise MalformedLink("triggerUrl is not base64 text.") from error
    parts = text.split("|", 4)
    if len(parts) != 5 or "\0" in text:  # which no database takes for a key
        raise MalformedLink("triggerUrl does not hold five fields.")
    return LinkFields(*parts)


def build_link(base_url: str, fields: LinkFields, secret: str) -> str:
    """`base_url` without a trailing slash, such as `https://windlass.example.com`."""
    return f"{base_url}{HOOK_PATH}?triggerUrl={encode_trigger_url(fields)}&secret={secret}"
