"""The token in a `statusUrl`: it reads the outcome of one call, and can do nothing else.

Answers end up in the logs of pipelines, so they hold this token instead of the trigger's secret. The token is derived from the
call's id, the trigger's public id and settings.SECRET_KEY, and stored nowhere. So it outlives a rotation of the secret. It ends
with the call, or when the trigger is deleted.

Tokens of earlier versions were derived from the trigger's secret. They work as long as that secret does.
"""

import hmac

from django.utils import timezone
from django.utils.crypto import salted_hmac

from triggers.hook.authentication import DUMMY_SECRET, UnknownLink, unseal
from triggers.hook_queries import OutcomeKey

TOKEN_PARAMETER = "token"  # noqa: S105 - a name
TOKEN_LENGTH = 32  # hex digits
SALT = "triggers.hook.outcome"


def make_outcome_token(call_id: object, key: str) -> str:
    """Return 32 hex digits for the call with this id. `key` is the trigger's public id. Takes about 10 µs."""
    return salted_hmac(f"{SALT}\n{key}", str(call_id), algorithm="sha256").hexdigest()[:TOKEN_LENGTH]


def check_outcome_token(call_id: object, known: OutcomeKey | None, token: str) -> None:
    """Raise UnknownLink unless this is the call's token. `known` is None for an unknown call: that takes the same work as a
    wrong token."""
    if is_token(call_id, known.public_id if known else "", token):
        return
    old_secret = unseal(known.sealed_old_secret if known else DUMMY_SECRET) or unseal(DUMMY_SECRET)
    is_former = is_token(call_id, (known.secret if known else unseal(DUMMY_SECRET)), token)
    is_old = is_token(call_id, old_secret, token)
    ends_at = known.old_secret_ends_at if known else None
    if not (known and (is_former or (is_old and ends_at and ends_at > timezone.now()))):
        raise UnknownLink


def is_token(call_id: object, key: str, token: str) -> bool:
    """Return whether this is the token for the key; never for an empty key, which is compared all the same."""
    wanted = make_outcome_token(call_id, key)
    return hmac.compare_digest(wanted.encode(), token.encode("utf-8", "replace")) and bool(key)
