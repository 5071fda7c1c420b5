"""API tokens, as their users see them under their name and administrators see them on the user's page."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpRequest
from rest_framework.authtoken.models import Token

from clusters.access.audit import record_act
from clusters.access.tokens import OLD, has_expired
from clusters.models import ApiToken

OLD_KEY = "old"  # in addresses: a user has at most one token of the old kind


@dataclass(frozen=True)
class ShownToken:
    """What is shown of a token. `role` is empty for one of the old kind, which has all rights of its user and no end."""

    key: str  # names it in addresses
    name: str
    state: str
    created_at: datetime
    role: str = ""
    all_clusters: bool = True
    clusters: tuple[str, ...] = ()
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    last_used_from: str | None = None

    @property
    def is_old(self) -> bool:
        return self.key == OLD_KEY


def list_tokens(user: User) -> list[ShownToken]:
    """Return the user's tokens by name, one of the old kind first. Takes two queries, and one more if there are tokens."""
    kept: Token | None = getattr(user, "auth_token", None)
    old = [ShownToken(OLD_KEY, OLD, "active", kept.created)] if kept else []
    return old + [_show_token(token) for token in ApiToken.objects.filter(user=user).prefetch_related("clusters")]


def _show_token(token: ApiToken) -> ShownToken:
    return ShownToken(
        key=str(token.pk),
        name=token.name,
        state="expired" if has_expired(token) else "active",
        created_at=token.created,
        role=token.get_role_display(),
        all_clusters=token.all_clusters,
        clusters=tuple(cluster.name for cluster in token.clusters.all()),
        expires_at=token.expiry,
        last_used_at=token.last_used_at,
        last_used_from=token.last_used_from,
    )


def get_token(user: User, key: str) -> ApiToken | Token:
    """Return the user's token. Raises Http404."""
    found: ApiToken | Token | None = None
    if key == OLD_KEY:
        found = Token.objects.select_related("user").filter(user=user).first()
    elif key.isascii() and key.isdigit() and len(key) < 19:  # digits of a bigint
        found = ApiToken.objects.select_related("user").filter(user=user, pk=int(key)).first()
    if found is None:
        raise Http404
    return found


def name_token(token: ApiToken | Token) -> str:
    return token.name if isinstance(token, ApiToken) else OLD


def end_token(request: HttpRequest, token: ApiToken | Token) -> None:
    """Delete the token, and record it as an act of the reader."""
    with transaction.atomic():
        if isinstance(token, ApiToken):
            record_act(request, "token.end", token, user=token.user.username)
        else:
            record_act(request, "token.end", token.user, kind=OLD)
        token.delete()
