"""Passkeys (WebAuthn): adding one, and what it answers. Each verifies its user by PIN, finger or face, so it is two factors.

A challenge is signed and not stored: pages that strangers open keep nothing. It is good for ten minutes, for one purpose and
one user, and each passkey answers it once. Source: https://www.w3.org/TR/webauthn-3/, sections 7.1 and 7.2.
"""

import base64
import json
import os
import struct
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from clusters.encryption import decrypt_text, encrypt_text
from console.factors.adapter import own_host

if TYPE_CHECKING:  # the library takes 5 MB, needed only by processes that check passkeys
    from fido2.server import Fido2Server
    from fido2.webauthn import AttestedCredentialData

PASSKEY = Authenticator.Type.WEBAUTHN
MOST_PASSKEYS = 20  # of one user
CHALLENGE_SECONDS = 600
SALT = "console.factors.passkeys"
COPIED = "The passkey's count of uses did not grow: it may have been copied. Remove it and add it again."
UNKNOWN = "The passkey is not known here, or its answer came too late."
ALGORITHMS = (-7, -8, -257)  # ES256, EdDSA, RS256: every authenticator has one of them
# What parsing raises for an answer that no browser made.
MALFORMED: tuple[type[Exception], ...] = (ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError)
MALFORMED += (NotImplementedError, RecursionError, struct.error)


class PasskeyRefused(Exception):
    """What a passkey answered is not accepted. The message is a sentence; `owner` is the user name if the passkey is known."""

    def __init__(self, message: str, owner: str = "") -> None:
        super().__init__(message)
        self.owner = owner


def begin_adding(request: HttpRequest, user: Any) -> dict[str, Any]:
    """Return `options` for the browser's `navigator.credentials.create`, as JSON values, and the `token` to send back."""
    from fido2.webauthn import PublicKeyCredentialUserEntity, ResidentKeyRequirement, UserVerificationRequirement

    challenge, name = os.urandom(32), user.get_username()
    options, _ = _make_server(request).register_begin(
        PublicKeyCredentialUserEntity(id=str(user.pk).encode(), name=name, display_name=name),
        [_read_credential(row) for row in list_passkeys(user)],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=UserVerificationRequirement.REQUIRED,
        challenge=challenge,
    )
    return {"options": _as_json(options), "token": _sign(challenge, "add", user)}


def finish_adding(request: HttpRequest, user: Any, name: str, token: str, answer: str) -> Authenticator:
    """Store the passkey that answered `begin_adding`. Raises PasskeyRefused."""
    challenge = _read_token(token, "add", user)
    try:
        data = _make_server(request).register_complete(_state_of(challenge), json.loads(answer))
    except MALFORMED as error:
        raise PasskeyRefused("What the browser sent is no new passkey of this console. Nothing was added.") from error
    credential = data.credential_data
    if credential is None or credential.public_key.get(3) not in ALGORITHMS:
        raise PasskeyRefused("The passkey signs in a way that the console does not know. Nothing was added.")
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        known = list_passkeys(user)
        if any(_read_credential(row).credential_id == credential.credential_id for row in known):
            raise PasskeyRefused("This passkey is already here. Nothing was added.")
        if len(known) >= MOST_PASSKEYS:
            raise PasskeyRefused(f"You have {MOST_PASSKEYS} passkeys, which is the most. Remove one first.")
        stored = {
            "name": name,
            "credential": encrypt_text(base64.b64encode(credential).decode()),
            "sign_count": data.counter,
            "challenges": {},
        }
        return Authenticator.objects.create(user=user, type=PASSKEY, data=stored)


def begin_use(request: HttpRequest, purpose: str, user: Any = None) -> dict[str, Any]:
    """Return `options` for the browser's `navigator.credentials.get`, as JSON values, and the `token` to send back. Without a
    user, any passkey of this console can answer. `purpose` is the caller's word, which `finish_use` must repeat."""
    from fido2.webauthn import UserVerificationRequirement

    challenge = os.urandom(32)
    options, _ = _make_server(request).authenticate_begin(
        [_read_credential(row) for row in list_passkeys(user)] if user else None,
        user_verification=UserVerificationRequirement.REQUIRED,
        challenge=challenge,
    )
    return {"options": _as_json(options), "token": _sign(challenge, purpose, user)}


def finish_use(request: HttpRequest, purpose: str, token: str, answer: str, user: Any = None) -> Authenticator:
    """Return the passkey that answered `begin_use`; its `user` is who signs in. Raises PasskeyRefused."""
    challenge = _read_token(token, purpose, user)
    try:
        parsed = json.loads(answer)
        from fido2.webauthn import AuthenticationResponse

        response = AuthenticationResponse.from_dict(parsed)
        owner = user or _find_user(response.response.user_handle)
        rows = list_passkeys(owner) if owner else []
        row = next((one for one in rows if _read_credential(one).credential_id == response.raw_id), None)
        if row is None:
            raise PasskeyRefused(UNKNOWN)
        _make_server(request).authenticate_complete(_state_of(challenge), [_read_credential(row)], response)
    except MALFORMED as error:
        raise PasskeyRefused(UNKNOWN) from error
    _note_use(row, challenge, response.response.authenticator_data.counter)
    return row


def list_passkeys(user: Any) -> list[Authenticator]:
    return list(Authenticator.objects.select_related("user").filter(user=user, type=PASSKEY).order_by("created_at", "pk"))


def _note_use(row: Authenticator, challenge: str, count: int) -> None:
    """Refuse an answer that was sent before, and one whose counter shows that the passkey was copied."""
    now, owner = time.time(), row.user.get_username()
    with transaction.atomic():
        locked = Authenticator.objects.select_for_update().filter(pk=row.pk).first()
        if locked is None or challenge in locked.data["challenges"]:
            raise PasskeyRefused("This answer of the passkey was used before. Try again.", owner)
        known = locked.data["sign_count"]
        if (known or count) and count <= known:
            raise PasskeyRefused(COPIED, owner)
        lately = {one: at for one, at in locked.data["challenges"].items() if at > now - CHALLENGE_SECONDS}
        locked.data |= {"sign_count": count, "challenges": lately | {challenge: int(now)}}
        locked.last_used_at = timezone.now()
        locked.save(update_fields=["data", "last_used_at"])


def _make_server(request: HttpRequest) -> "Fido2Server":
    from fido2.server import Fido2Server
    from fido2.webauthn import PublicKeyCredentialParameters, PublicKeyCredentialRpEntity, PublicKeyCredentialType

    owner = PublicKeyCredentialRpEntity(id=own_host(request), name="Windlass")
    server = Fido2Server(owner, verify_origin=lambda origin: is_own_origin(request, origin))
    kind = PublicKeyCredentialType.PUBLIC_KEY
    server.allowed_algorithms = [PublicKeyCredentialParameters(type=kind, alg=number) for number in ALGORITHMS]
    return server


def is_own_origin(request: HttpRequest, origin: str) -> bool:
    """Return whether a browser's origin is the console's: exactly that of the public address. Without one, it is the host that
    the request names, by TLS or on this machine."""
    if settings.PUBLIC_URL:
        return origin == write_origin(settings.PUBLIC_URL)
    parts = urlsplit(origin)
    local = parts.hostname == "localhost" or (parts.hostname or "").endswith(".localhost")
    return parts.netloc == request.get_host() and (parts.scheme == "https" or (parts.scheme == "http" and local))


def write_origin(url: str) -> str:
    """Return the origin of an address as browsers write it: in lower case, without the scheme's own port."""
    parts = urlsplit(url)
    port = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port and parts.port != port else "")


def _find_user(handle: bytes | None) -> Any:
    return User.objects.filter(pk=int(handle)).first() if handle and len(handle) < 19 and handle.isdigit() else None


def _read_credential(row: Authenticator) -> "AttestedCredentialData":
    from fido2.webauthn import AttestedCredentialData

    return AttestedCredentialData(base64.b64decode(decrypt_text(row.data["credential"])))


def _as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(dict(options["publicKey"])))
    return found


def _sign(challenge: bytes, purpose: str, user: Any) -> str:
    text = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
    return signing.dumps({"challenge": text, "for": purpose, "user": user.pk if user else None}, salt=SALT)


def _read_token(token: str, purpose: str, user: Any) -> str:
    """Return the challenge."""
    try:
        found = signing.loads(token, salt=SALT, max_age=CHALLENGE_SECONDS)
    except signing.BadSignature as error:
        raise PasskeyRefused("The passkey's answer came too late. Try again.") from error
    if found["for"] != purpose or found["user"] != (user.pk if user else None):
        raise PasskeyRefused("The passkey answered another question. Try again.")
    return str(found["challenge"])


def _state_of(challenge: str) -> dict[str, Any]:
    from fido2.webauthn import UserVerificationRequirement

    return {"challenge": challenge, "user_verification": UserVerificationRequirement.REQUIRED}
