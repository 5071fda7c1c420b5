"""Links that sign one user in once: `manage.py sign_in_link` makes them, for whoever has lost every other way.

A link is signed, holds for LINK_SECONDS, and is bound to the user's password and last sign-in, so any sign-in of that user ends
it. Its token stands in the query, which is not logged. Opening it shows a button: what fetches addresses ahead signs nobody in.
"""

from typing import Any

from django.contrib.auth.models import User
from django.core.signing import BadSignature, TimestampSigner
from django.utils.crypto import constant_time_compare, salted_hmac

LINK_SECONDS = 900
SALT = "windlass.sign_in_link"


class LinkRefused(Exception):
    """The link signs nobody in. Why is not said."""


def make_token(user: User) -> str:
    return TimestampSigner(salt=SALT).sign(f"{user.pk}:{_mark(user)}")


def find_user(token: str, users: Any = User.objects) -> User:
    """Return the active user whom the token signs in. Raises LinkRefused."""
    try:
        key, _, mark = TimestampSigner(salt=SALT).unsign(token, max_age=LINK_SECONDS).partition(":")
    except BadSignature as error:
        raise LinkRefused from error
    user: User | None = users.filter(pk=int(key), is_active=True).first()
    if user is None or not constant_time_compare(mark, _mark(user)):
        raise LinkRefused
    return user


def _mark(user: User) -> str:
    """Return what changes with each sign-in and each new password."""
    return salted_hmac(SALT, f"{user.pk}:{user.password}:{user.last_login}", algorithm="sha256").hexdigest()
