"""Who a request to the API comes from, by the token that it brings: `Authorization: Bearer wl_…`, or `Token …` as before."""

from typing import Any

import knox.auth
from rest_framework.authentication import get_authorization_header
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from clusters.access import tokens
from clusters.access.limits import limit_user
from clusters.access.refusals import EXPIRED_TOKEN
from clusters.callers import client_address
from clusters.models import ApiToken

UNKNOWN = "This API token is not known: it is mistyped, or it has ended. Make a new one on the page API tokens."
NOT_ONE_WORD = "Send the API token as one word: `Authorization: Bearer wl_…`."


class TokenExpired(AuthenticationFailed):
    def __init__(self, token: ApiToken) -> None:
        expired = f"{token.expiry:%Y-%m-%d %H:%M} UTC"
        sentence = f"The API token {token.name} expired at {expired}. Replace it on the page API tokens."
        super().__init__({"detail": sentence, "code": "token_expired"})
        self.token = token


class TokenAuthentication(knox.auth.TokenAuthentication):
    """The user of a token, with the rights that it leaves, and the token. Tokens of the old kind have all rights of their user.

    `notes_use`: store when the token was last used; without it nothing is written."""

    def __init__(self, notes_use: bool = True) -> None:
        self.notes_use = notes_use

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Raises AuthenticationFailed. A `Bearer` that is no token of the console's is another's, such as a proxy's."""
        kind, _, text = get_authorization_header(request).decode("latin-1").partition(" ")
        text = text.strip()
        if kind.lower() not in ("token", "bearer") or (kind.lower() == "bearer" and not text.startswith(tokens.PREFIX)):
            return None
        if len(text.split()) != 1:
            raise AuthenticationFailed({"detail": NOT_ONE_WORD, "code": "token_unknown"})
        try:
            user, token = self.authenticate_credentials(text)
        except TokenExpired as expired:
            setattr(request._request, EXPIRED_TOKEN, expired.token)
            raise
        if self.notes_use and isinstance(token, ApiToken):
            tokens.note_use(token, client_address(request))
        return user, token

    def authenticate_credentials(self, text: str) -> tuple[Any, ApiToken | Token]:
        """Return the user and the token. Raises AuthenticationFailed. Unlike knox it deletes nothing."""
        token = tokens.find_token(text) if text.startswith(tokens.PREFIX) else tokens.find_old_token(text)
        if token is None or not token.user.is_active:
            raise AuthenticationFailed({"detail": UNKNOWN, "code": "token_unknown"})
        if isinstance(token, ApiToken):
            if tokens.has_expired(token):
                raise TokenExpired(token)
            limit_user(token.user, tokens.read_limit(token))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
