"""The token in a `statusUrl`: it reads the outcome of one call, and can do nothing else.

Answers end up in the logs of pipelines, so they hold this token instead of the trigger's secret. The token is derived from the
call's id, the trigger's secret and settings.SECRET_KEY, and stored nowhere: it ends when the secret is rotated, or when the
trigger is deleted.
"""

import hmac

from django.utils.crypto import salted_hmac

from clusters.encryption import EncryptedTextField
from triggers.hook.authentication import DUMMY_SECRET, UnknownLink

TOKEN_PARAMETER = "token"  # noqa: S105 - a name
TOKEN_LENGTH = 32  # hex digits
SALT = "triggers.hook.outcome"


def make_outcome_token(call_id: object, secret: str) -> str:
    """Return 32 hex digits for the call with this id, of a trigger with this secret. Takes about 10 µs."""
    return salted_hmac(f"{SALT}\n{secret}", str(call_id), algorithm="sha256").hexdigest()[:TOKEN_LENGTH]


def check_outcome_token(call_id: object, secret: str, token: str) -> None:
    """Raise UnknownLink unless this is the call's token. `secret` is the trigger's, and empty for an unknown call: that takes
    the same time."""
    wanted = make_outcome_token(call_id, secret or EncryptedTextField().from_db_value(DUMMY_SECRET) or "")
    matches = hmac.compare_digest(wanted.encode(), token.encode("utf-8", "replace"))
    if not (secret and matches):
        raise UnknownLink
