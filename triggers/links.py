"""The documented link format: `/hook/trigger?triggerUrl=<base64>&secret=<64 hex>`.

`triggerUrl` is `cluster|application|action|id|extra` in standard base64 with padding. The id alone finds the trigger; the other
fields must match it. Windlass leaves `extra` empty, as the documented examples do.
"""

import base64
import secrets
from dataclasses import dataclass

from triggers.link_repair import explain_trigger_url, repair_base64

ID_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
ID_LENGTH = 13
HOOK_PATH = "/hook/trigger"
SIGNATURE_KEY_PREFIX = "whsec_"
SIGNATURE_KEY_BYTES = 32


def make_public_id() -> str:
    """Return 13 random characters of 0-9a-v."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))


def make_secret() -> str:
    """Return 64 hex digits."""
    return secrets.token_hex(32)


def make_signature_key() -> str:
    """Return a key for signed calls, `whsec_` and base64, as Standard Webhooks writes it."""
    return SIGNATURE_KEY_PREFIX + base64.b64encode(secrets.token_bytes(SIGNATURE_KEY_BYTES)).decode()


@dataclass(frozen=True)
class LinkFields:
    """The fields of a `triggerUrl`."""

    cluster: str
    application: str
    action: str
    id: str
    extra: str = ""


class MalformedLink(ValueError):
    """A `triggerUrl` that no console wrote. The message says what is wrong."""


def encode_trigger_url(fields: LinkFields) -> str:
    text = "|".join((fields.cluster, fields.application, fields.action, fields.id, fields.extra))
    return base64.b64encode(text.encode()).decode()


def decode_trigger_url(value: str) -> LinkFields:
    """Decode a `triggerUrl`, also one that was damaged on its way, where that can mean nothing else (triggers.link_repair).

    Raises MalformedLink.
    """
    texts = [decode_text(encoded) for encoded in (value.replace(" ", "+"), repair_base64(value))]
    for text in texts:
        parts = (text or "").split("|", 4)
        if len(parts) == 5 and "\0" not in (text or ""):  # NUL: no database looks up such a key
            return LinkFields(*parts)
    if any(text is not None for text in texts):
        raise MalformedLink("triggerUrl does not hold five fields.")
    raise MalformedLink(explain_trigger_url(value))


def decode_text(encoded: str) -> str | None:
    """Return the text; None for what is no base64, or no text."""
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return None


def build_link(base_url: str, fields: LinkFields, secret: str) -> str:
    """Build the whole link, without a secret if that is empty. `base_url` has no trailing slash, such as
    `https://windlass.example.com`."""
    return f"{base_url}{HOOK_PATH}?triggerUrl={encode_trigger_url(fields)}{f'&secret={secret}' if secret else ''}"
