"""Signed calls in tests: the headers that each sender adds, made without the code that checks them."""

import base64
import hashlib
import hmac
import time

from triggers.links import make_signature_key
from triggers.models import Signature


def require_signature(trigger, mode=Signature.INSTEAD):
    trigger.signature, trigger.signature_key = mode, make_signature_key()
    trigger.save()
    return trigger.signature_key


def sign_hex(key, signed):
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def sign_standard(key, body, message_id="msg_1", sent_at=None):
    sent_at = str(int(time.time()) if sent_at is None else sent_at)
    secret = base64.b64decode(key.removeprefix("whsec_"))
    digest = hmac.new(secret, f"{message_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": sent_at, "webhook-signature": signature}


def sign_github(key, body):
    return {"X-Hub-Signature-256": f"sha256={sign_hex(key, body)}"}


def sign_gitea(key, body):
    return {"X-Gitea-Signature": sign_hex(key, body)}


def sign_forgejo(key, body):
    return {"X-Forgejo-Signature": sign_hex(key, body)}


def sign_grafana(key, body):
    return {"X-Grafana-Alerting-Signature": sign_hex(key, body)}


def sign_grafana_timed(key, body, sent_at=None):
    sent_at = str(int(time.time()) if sent_at is None else sent_at)
    signature = sign_hex(key, sent_at.encode() + b":" + body)
    return {"X-Grafana-Alerting-Signature": signature, "X-Grafana-Alerting-Timestamp": sent_at}
