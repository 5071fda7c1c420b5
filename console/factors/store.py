"""Which second factors users have, who must have one, and their reset."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction

from clusters.access.administrators import is_administrator
from clusters.encryption import decrypt_text, encrypt_text
from console.factors.codes import APP, RECOVERY_CODES
from console.session_list import end_sessions

PASSKEY = Authenticator.Type.WEBAUTHN
NAMES = {APP: "authenticator app", RECOVERY_CODES: "recovery code", PASSKEY: "passkey"}
ENCRYPTED = ("secret", "seed", "credential")  # names in `data`


def has_factor(user: Any) -> bool:
    """Return whether a sign-in with the password asks for a second factor. Recovery codes alone are none."""
    return Authenticator.objects.filter(user=user, type__in=(APP, PASSKEY)).exists()


def must_have_factor(user: Any) -> bool:
    """Return whether WINDLASS_SECOND_FACTOR names this user."""
    return settings.SECOND_FACTOR == "everybody" or (settings.SECOND_FACTOR == "administrators" and is_administrator(user))


def describe_factors(rows: list[Authenticator]) -> str:
    """Return what the factors are in words, such as "authenticator app, 2 passkeys"; empty text for none."""
    passkeys = sum(row.type == PASSKEY for row in rows)
    words = [NAMES[APP]] if any(row.type == APP for row in rows) else []
    return ", ".join([*words, *(["1 passkey"] if passkeys == 1 else [f"{passkeys} passkeys"] if passkeys else [])])


def remove_factor(row: Authenticator) -> None:
    """Remove the app or a passkey. Recovery codes go with the last one."""
    with transaction.atomic():
        row.delete()
        if not has_factor(row.user):
            Authenticator.objects.filter(user=row.user).delete()


def reset_factors(user: Any) -> str:
    """Remove all factors of the user and end the user's sessions. Returns what was removed, in words."""
    with transaction.atomic():
        rows = list(Authenticator.objects.select_for_update().filter(user=user))
        Authenticator.objects.filter(pk__in=[row.pk for row in rows]).delete()
        end_sessions(user)
    return describe_factors(rows)


def reencrypt_factors() -> int:
    """Encrypt what is secret about every factor with settings.ENCRYPTION_KEY, all of them or none. Returns the rows written.

    Raises ImproperlyConfigured if one cannot be read with any of the keys."""
    written = 0
    with transaction.atomic():
        for row in Authenticator.objects.select_for_update().order_by("pk"):
            row.data |= {name: encrypt_text(decrypt_text(row.data[name])) for name in ENCRYPTED if name in row.data}
            row.save(update_fields=["data"])
            written += 1
    return written
