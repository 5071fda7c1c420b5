"""Codes of authenticator apps (TOTP, RFC 6238: six digits, 30 s) and recovery codes. Each is accepted once."""

import time
from typing import Any

from allauth.core.internal.cryptokit import compare_user_code, normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.db import transaction
from django.utils import timezone

from clusters.encryption import decrypt_text, encrypt_text

APP = Authenticator.Type.TOTP
RECOVERY_CODES = Authenticator.Type.RECOVERY_CODES
STEP_SECONDS = 30
STEPS_OFF = 1  # by which a telephone's clock may be early or late
APP_DIGITS = 6
# Wrong codes of one user, from whatever addresses. Only whoever knows the password comes here.
MOST_FAILURES = 20
FAILURE_SECONDS = 3600


class TooManyCodes(Exception):
    """So many wrong codes were entered for this user that none is looked at for a while. The message is a sentence."""


def find_step(secret: str, code: str, after: int) -> int | None:
    """Return the time step whose code this is, if it is one of those that are valid now and later than step `after`."""
    now = int(time.time()) // STEP_SECONDS
    steps = range(now - STEPS_OFF, now + STEPS_OFF + 1)
    fits = [compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, step))) for step in steps]
    return next((step for step, is_it in zip(steps, fits, strict=True) if is_it and step > after), None)


def add_app(user: Any, secret: str, code: str) -> bool:
    """Store an authenticator app if `code` shows that it has the secret. The code is used by that."""
    step = find_step(secret, code, after=-1)
    if step is None:
        return False
    data = {"secret": encrypt_text(secret), "counter": step}
    Authenticator.objects.create(user=user, type=APP, data=data)
    return True


def make_recovery_codes(user: Any) -> list[str]:
    """Replace the user's recovery codes. Returns the new ones, which cannot be shown again."""
    with transaction.atomic():
        Authenticator.objects.filter(user=user, type=RECOVERY_CODES).delete()
        return RecoveryCodes.activate(user).generate_codes()


def count_recovery_codes(row: Authenticator) -> int:
    """Return how many of the user's codes are not used yet."""
    return int(app_settings.RECOVERY_CODE_COUNT) - int(row.data["used_mask"]).bit_count()


def check_code(user: Any, code: str, types: tuple[str, ...] = (APP, RECOVERY_CODES)) -> str:
    """Return the type of the factor whose code this is, and use the code up; or return empty text if it is wrong.

    Raises TooManyCodes after MOST_FAILURES wrong ones in an hour."""
    entered = normalize_user_code(code)
    with transaction.atomic():
        rows = {row.type: row for row in Authenticator.objects.select_for_update().filter(user=user, type__in=types)}
        if not rows:
            return ""
        keeper = rows.get(APP) or rows[RECOVERY_CODES]
        failures = _read_failures(keeper)
        if len(failures) >= MOST_FAILURES:
            raise TooManyCodes("Too many wrong codes were entered for this user. Use a passkey, or try again in an hour.")
        used = next((kind for kind, row in rows.items() if _accept(row, entered)), "")
        keeper.data["failures"] = [] if used else [*failures, int(time.time())]
        for row in {keeper.pk: keeper, **({rows[used].pk: rows[used]} if used else {})}.values():
            row.save(update_fields=["data", "last_used_at"])
    return used


def _read_failures(row: Authenticator) -> list[int]:
    return [at for at in row.data.get("failures", []) if at > time.time() - FAILURE_SECONDS]


def _accept(row: Authenticator, entered: str) -> bool:
    """Note in the row, which the caller stores, that its code was used."""
    if row.type == APP:
        if len(entered) != APP_DIGITS:
            return False
        step = find_step(decrypt_text(row.data["secret"]), entered, after=row.data["counter"])
        if step is None:
            return False
        row.data["counter"] = step
    else:
        fits = [compare_user_code(actual=entered, expected=known) for known in RecoveryCodes(row).generate_codes()]
        unused = [index for index, is_it in enumerate(fits) if is_it and not row.data["used_mask"] & 1 << index]
        if not unused:
            return False
        row.data["used_mask"] |= 1 << unused[0]
    row.last_used_at = timezone.now()
    return True
