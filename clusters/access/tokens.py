"""API tokens: to make one, to find it, to note its use, to end it. Nothing here asks whose turn it is to do so.

A token of the old kind (`rest_framework.authtoken`) is stored as it is, has all rights of its user, and does not expire. None
are made any longer.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from django.utils import timezone
from knox.crypto import hash_token
from rest_framework.authtoken.models import Token

from clusters.access.administrators import list_administrators
from clusters.access.audit import record
from clusters.access.limits import Limit
from clusters.models import ApiToken, Cluster
from clusters.roles import Role
from clusters.selectors import without_keys

log = structlog.get_logger("windlass.tokens")

PREFIX = "wl_"
TOKENS = re.compile(r"[A-Za-z0-9_]{1,128}")
MOST = 50  # of a user
DAYS = 90
OLD = "old kind"
CONSOLE = "the console"  # as an actor

PASSWORD_CHANGED = "the password was changed"  # noqa: S105 - a reason
DEACTIVATED = "the user was deactivated"


class TokenRefused(Exception):
    """The token cannot be made. The message is a sentence."""


def may_be_endless(user: User) -> bool:
    """Return whether tokens of the user may have no end."""
    return list_administrators().filter(pk=user.pk).exists()


def create_token(
    user: User,
    name: str,
    role: Role,
    clusters: Iterable[Cluster] | None,
    days: int | None,
    instead_of: ApiToken | Token | None = None,
) -> tuple[ApiToken, str]:
    """Make a token and return it with its text, which cannot be read again. `clusters`: None for all that the user has. `days`:
    None for no end. The token `instead_of` is deleted. Raises TokenRefused. Call it in a transaction, which it undoes then."""
    stored = User.objects.select_for_update().get(pk=user.pk)  # two at the same time count one after the other
    if (stored.password, stored.is_active) != (user.password, True):  # it must not outlive what has just ended all others
        raise TokenRefused("Your password was changed meanwhile, or you were deactivated. Sign in again.")
    if instead_of and not type(instead_of)._base_manager.filter(pk=instead_of.pk).delete()[0]:
        raise TokenRefused("The token that this one replaces has ended meanwhile.")
    mine = ApiToken.objects.filter(user=user)
    if mine.count() >= MOST:
        raise TokenRefused(f"A user can have {MOST} tokens. End one first.")
    if mine.filter(name=name).exists():
        raise TokenRefused("There is a token of this name. Choose another name.")
    if days is None and not may_be_endless(user):
        raise TokenRefused("Only administrators of all clusters can have a token that never expires.")
    expiry = None if days is None else timedelta(days=days)
    chosen = None if clusters is None else list(clusters)
    token, text = ApiToken.objects.create(user, expiry, name=name, role=role, all_clusters=chosen is None)
    token.clusters.set(chosen or ())
    return token, text


def describe_token(token: ApiToken) -> dict[str, Any]:
    """Return what the audit log says of a token, besides its name and whose it is."""
    clusters = "all" if token.all_clusters else sorted(cluster.name for cluster in token.clusters.all())
    expires = token.expiry.isoformat(timespec="minutes") if token.expiry else "never"
    return {"role": str(Role(token.role).label), "clusters": clusters, "expires": expires}


def find_token(text: str) -> ApiToken | None:
    """Return the token with its user, whether it has ended or not. Writes nothing."""
    if not TOKENS.fullmatch(text):
        return None
    return ApiToken.objects.select_related("user").filter(digest=hash_token(text)).first()


def find_old_token(text: str) -> Token | None:
    found: Token | None = Token.objects.select_related("user").filter(key=text).first() if TOKENS.fullmatch(text) else None
    return found


def has_expired(token: ApiToken, now: datetime | None = None) -> bool:
    return token.expiry is not None and token.expiry <= (now or timezone.now())


def read_limit(token: ApiToken) -> Limit:
    """Return what the token leaves of its user's rights. Needs a query if it is for chosen clusters."""
    clusters = None
    if not token.all_clusters:
        clusters = {cluster.pk: cluster for cluster in without_keys(token.clusters.all(), path="")}
    return Limit(token.name, Role(token.role), clusters, token.user.is_superuser)


def note_use(token: ApiToken, address: str | None) -> None:
    """Store when and from where the token was last used, once a minute at most."""
    minute = timezone.now().replace(second=0, microsecond=0)
    if token.last_used_at is not None and token.last_used_at >= minute:
        return
    unnoted = Q(last_used_at__isnull=True) | Q(last_used_at__lt=minute)
    try:
        ApiToken.objects.filter(unnoted, pk=token.pk).update(last_used_at=minute, last_used_from=address)
    except DatabaseError as error:  # such as a full disk: what only reads still works
        log.warning("a token's use was not noted", error=str(error))


def has_tokens(user: User) -> bool:
    return ApiToken.objects.filter(user=user).exists() or Token.objects.filter(user=user).exists()


def end_all_tokens(user: User, because: str, *, by: Any = None, actor: str = "", address: str | None = None) -> list[str]:
    """Delete all tokens of `user` and return their names. If there were any, record it as an act of the user `by`, or of
    `actor`. `because`: words for the log."""
    with transaction.atomic():
        mine, old = ApiToken.objects.filter(user=user), Token.objects.filter(user=user)
        names = [*mine.values_list("name", flat=True), *([OLD] if old.exists() else [])]
        if names:
            record(by, "token.end", user, actor=actor, address=address, tokens=names, because=because)
            mine.delete()
            old.delete()
    return names


@receiver(pre_save, sender=User)
def end_tokens_with_the_password(instance: User, raw: bool = False, update_fields: Any = None, **_: Any) -> None:
    """End a user's tokens with the password and with a deactivation, wherever they happen: pages, admin, `manage.py
    changepassword`. Who did it is said by the entry of that act."""
    because = ""
    if raw or instance.pk is None:
        pass
    elif not instance.is_active and (update_fields is None or "is_active" in update_fields):
        because = DEACTIVATED
    elif (update_fields is None or "password" in update_fields) and not getattr(instance, "keeps_tokens", False):
        because = PASSWORD_CHANGED if _gets_another_password(instance) else ""
    if because:
        end_all_tokens(instance, because, actor=CONSOLE)
    instance._tokens_end_because = because  # type: ignore[attr-defined]


@receiver(post_save, sender=User)
def end_tokens_that_were_made_meanwhile(instance: User, **_: Any) -> None:
    """End those of requests that had the old password. Later ones are refused (`create_token`)."""
    if because := getattr(instance, "_tokens_end_because", ""):
        end_all_tokens(instance, because, actor=CONSOLE)


def _gets_another_password(user: User) -> bool:
    """Return whether the save sets or removes the password. That Django stores the same one by a newer hash is no change."""
    if getattr(user, "_password", None) is not None:
        return True
    if user.has_usable_password():
        return False
    stored = User.objects.filter(pk=user.pk).only("password").first()
    return stored is not None and stored.has_usable_password()
