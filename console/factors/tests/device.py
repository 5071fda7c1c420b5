"""An authenticator in memory: passkeys with an ES256 key, and codes of an authenticator app."""

import base64
import json
import os
import time
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import sha256, websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

from clusters.encryption import encrypt_text
from console.factors.passkeys import PASSKEY

ORIGIN = "https://testserver"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def compute_code(secret: str, steps: int = 0) -> str:
    """Return the code of an app, `steps` of 30 s from now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def store_passkey(user: Any, name: str = "laptop", device: "Device | None" = None) -> Authenticator:
    """Store a passkey as if the user had added it."""
    public = ES256.from_cryptography_key((device := device or Device()).key.public_key())
    credential = AttestedCredentialData.create(bytes(16), device.credential_id, public)
    device.handle = websafe_encode(str(user.pk).encode())
    encrypted = encrypt_text(base64.b64encode(credential).decode())
    data = {"name": name, "credential": encrypted, "sign_count": device.count, "challenges": {}}
    return Authenticator.objects.create(user=user, type=PASSKEY, data=data)


class Device:
    """Holds one passkey after `create`. Its fields can be changed to answer wrongly."""

    def __init__(self, origin: str = ORIGIN, count: int = 0) -> None:
        self.origin = origin
        self.count = count  # of uses; 0 does not count
        self.flags = PRESENT | VERIFIED
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.credential_id = os.urandom(32)
        self.handle = ""

    def create(self, options: dict[str, Any]) -> str:
        """Answer the options of passkeys.begin_adding, as the browser's JSON."""
        self.handle = options["user"]["id"]
        public = ES256.from_cryptography_key(self.key.public_key())
        credential = AttestedCredentialData.create(bytes(16), self.credential_id, public)
        data = AuthenticatorData.create(sha256(options["rp"]["id"].encode()), self.flags | ATTESTED, self.count, credential)
        attestation = AttestationObject.create("none", data, {})
        return self._answer(self._client_data("webauthn.create", options), attestationObject=websafe_encode(attestation))

    def use(self, options: dict[str, Any]) -> str:
        """Answer the options of passkeys.begin_use, as the browser's JSON."""
        if self.count:
            self.count += 1
        data = AuthenticatorData.create(sha256(options["rpId"].encode()), self.flags, self.count)
        client_data = self._client_data("webauthn.get", options)
        signature = self.key.sign(data + sha256(client_data), ec.ECDSA(hashes.SHA256()))
        parts = {"authenticatorData": data, "signature": signature}
        encoded = {name: websafe_encode(part) for name, part in parts.items()}
        return self._answer(client_data, **encoded, userHandle=self.handle)

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        challenge = websafe_encode(websafe_decode(options["challenge"]))
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _answer(self, client_data: bytes, **response: str) -> str:
        name = websafe_encode(self.credential_id)
        response = {"clientDataJSON": websafe_encode(client_data), **response}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}})
