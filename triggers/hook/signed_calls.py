"""Signed calls: an HMAC-SHA256 of the raw body, in the form that the sender uses.

- Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md) signs
  `id.timestamp.body` with the bytes that the key holds in base64.
- GitHub (https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries), Gitea and Forgejo sign the body.
- Grafana (https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/)
  signs the body, or `timestamp:body` where a header for the time is configured.

All but the first take the key as the text that it is shown as. Nothing here raises for what a caller sends.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Mapping

from triggers.links import SIGNATURE_KEY_PREFIX
from triggers.payloads.signatures import equals
from triggers.refusals import CallRefused

WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
HUB_SIGNATURE = "X-Hub-Signature-256"
GRAFANA_SIGNATURE, GRAFANA_TIMESTAMP = "X-Grafana-Alerting-Signature", "X-Grafana-Alerting-Timestamp"
BODY_SIGNATURES = (HUB_SIGNATURE, "X-Gitea-Signature", "X-Forgejo-Signature", GRAFANA_SIGNATURE)
SIGNATURE_HEADERS = (WEBHOOK_SIGNATURE, *BODY_SIGNATURES)

TOLERANCE_SECONDS = 300  # between the time that is signed and now, either way
SIGNATURES_MAXIMUM = 10  # of one header, where a sender signs with its old key and its new one
TIMESTAMP = re.compile(r"[0-9]{1,12}")
# Without dots: in `id.timestamp.body`, a part of the body could else be taken for the time.
MESSAGE_ID = re.compile(r"[!-\-/-~]{1,255}")
# What Grafana signs when it signs the time. As a body of its own it would be a signature without an end.
LOOKS_TIMED = re.compile(rb"[0-9]+:")


class BadSignature(CallRefused):
    """The call is not signed with the trigger's key, or not in time. The answer does not say which."""

    status, code, reason = 401, "signature", "signature"

    def __init__(self) -> None:
        super().__init__(
            "This trigger takes signed calls only, and the signature is missing, wrong or too old. Sign the raw body with the "
            f"trigger's key, and send {WEBHOOK_ID}, {WEBHOOK_TIMESTAMP} and {WEBHOOK_SIGNATURE} (Standard Webhooks), or "
            f"{', '.join(BODY_SIGNATURES[:-1])} or {BODY_SIGNATURES[-1]}. A call without a body has to be signed with its time."
        )


def has_signature(headers: Mapping[str, str]) -> bool:
    """Return whether the headers hold a signature in any form, right or wrong."""
    return any(headers.get(name, "").strip() for name in SIGNATURE_HEADERS)


def check_signature(headers: Mapping[str, str], raw: bytes, key: str) -> str:
    """Return the id of the delivery, which nobody can change without the key. `raw` is the body as it was sent, `key` the
    trigger's, `whsec_…`. Raises BadSignature."""
    found = find_message_id(headers, raw, key) or find_timed_digest(headers, raw, key) or find_digest(headers, raw, key)
    if not found:
        raise BadSignature
    return found


def find_message_id(headers: Mapping[str, str], raw: bytes, key: str) -> str:
    """Return the id of a message that is signed as in Standard Webhooks; empty unless it is right."""
    message_id, sent_at = headers.get(WEBHOOK_ID, "").strip(), headers.get(WEBHOOK_TIMESTAMP, "").strip()
    secret = decode_key(key)
    if not (secret and MESSAGE_ID.fullmatch(message_id) and is_near(sent_at)):
        return ""
    wanted = base64.b64encode(hmac.digest(secret, b".".join((message_id.encode(), sent_at.encode(), raw)), "sha256")).decode()
    given = headers.get(WEBHOOK_SIGNATURE, "").split()[:SIGNATURES_MAXIMUM]
    is_right = False
    for signature in given:
        version, _, value = signature.partition(",")
        is_right |= (version == "v1") & equals(value, wanted)
    return message_id if is_right else ""


def find_timed_digest(headers: Mapping[str, str], raw: bytes, key: str) -> str:
    """Return the id of a message that Grafana has signed with its time; empty unless it is right."""
    sent_at = headers.get(GRAFANA_TIMESTAMP, "").strip()
    if not is_near(sent_at):
        return ""
    return compare_digest([headers.get(GRAFANA_SIGNATURE, "")], sent_at.encode() + b":" + raw, key)


def find_digest(headers: Mapping[str, str], raw: bytes, key: str) -> str:
    """Return the id of a message whose body alone is signed; empty unless it is right. Without a body it is no message: who
    has seen one such signature could use it for ever."""
    given = [value for name in BODY_SIGNATURES if (value := headers.get(name, "").strip())]
    if not raw or not given or LOOKS_TIMED.match(raw):
        return ""
    return compare_digest(given, raw, key)


def compare_digest(given: list[str], signed: bytes, key: str) -> str:
    """Return an id made of the signature if one of the `given` is right; it is the same whichever header brings it."""
    wanted = hmac.digest(key.encode(), signed, "sha256")
    matches = [equals(value.strip().lower().removeprefix("sha256="), wanted.hex()) for value in given]
    return f"signature {hashlib.sha256(wanted).hexdigest()}" if key and any(matches) else ""


def is_near(sent_at: str) -> bool:
    return bool(TIMESTAMP.fullmatch(sent_at)) and abs(int(sent_at) - time.time()) <= TOLERANCE_SECONDS


def decode_key(key: str) -> bytes:
    """Return the bytes of a key of Standard Webhooks; none for another text."""
    try:
        return base64.b64decode(key.removeprefix(SIGNATURE_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
