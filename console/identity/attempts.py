"""A sign-in that is under way at a provider. It is kept in a signed cookie of the browser that began it, and nowhere else: so
strangers who begin sign-ins store nothing here, and an answer is worth nothing in another browser."""

import secrets
from dataclasses import asdict, dataclass, field

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

COOKIE = settings.SESSION_COOKIE_NAME.removesuffix("sessionid") + "provider"
SALT = "windlass.provider"
SECONDS = 600  # from the button to the provider's answer
NEXT_LENGTH = 1_000  # characters of the path to return to

SIGN_IN, LINK, INVITED, TEST = "sign_in", "link", "invited", "test"


@dataclass(frozen=True)
class Attempt:
    """`mode` is one of the four above. `user_id` is of whoever links or tests, and must still be signed in at the answer;
    `invitation` is its key."""

    provider: str
    mode: str = SIGN_IN
    next: str = ""
    user_id: int | None = None
    invitation: str = ""
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def keep(self, response: HttpResponse) -> None:
        response.set_cookie(
            COOKIE,
            signing.dumps(asdict(self), salt=SALT, compress=True),
            max_age=SECONDS,
            httponly=True,
            secure=settings.SESSION_COOKIE_SECURE,
            samesite="Lax",  # the answer comes from another site
        )


def find_attempt(request: HttpRequest) -> Attempt | None:
    """Return the browser's attempt that the answer's `state` belongs to, or None."""
    try:
        found = Attempt(**signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=SECONDS))
    except (signing.BadSignature, TypeError):
        return None
    return found if constant_time_compare(request.GET.get("state", ""), found.state) else None


def forget_attempt(response: HttpResponse) -> None:
    """End the attempt in the browser. An answer is taken once."""
    response.delete_cookie(COOKIE, samesite="Lax")
