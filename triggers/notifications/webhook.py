"""Webhooks: one POST of JSON for each message, signed as in Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)."""

import base64
import hmac
import json
import time
from typing import Any

from clusters.registry.transport import name_host
from triggers.links import SIGNATURE_KEY_PREFIX, make_signature_key
from triggers.notifications.messages import Message
from triggers.notifications.outcomes import NotSent, Receipt, judge_answer
from triggers.notifications.transport import exchange, open_transport, start_deadline

SECRET = "secret"  # noqa: S105 - the name of the configuration's entry for the signing key


def give_signing_key(values: dict[str, Any]) -> str:
    """Put a new signing key into the configuration and return it, `whsec_…`. It is shown once."""
    values[SECRET] = make_signature_key()
    return str(values[SECRET])


def sign(key: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the header of the signature: `v1,` and base64 of HMAC-SHA256 of `id.timestamp.body`."""
    signed = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
    digest = hmac.digest(base64.b64decode(key.removeprefix(SIGNATURE_KEY_PREFIX)), signed, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def send_webhook(values: dict[str, Any], message: Message) -> Receipt:
    """Send the message. Raises NotSent."""
    url, key = str(values.get("url", "")), str(values.get(SECRET, ""))
    if not key:
        raise NotSent("The channel has no signing key. Make a new one.", is_final=True)
    body = json.dumps(message.payload, ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message.webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(key, message.webhook_id, timestamp, body),
    }
    transport = open_transport(url, str(values.get("ca", "")))
    try:
        return judge_answer(exchange(transport, "POST", url, headers, body, start_deadline()), name_host(url))
    finally:
        transport.close()
