"""What a verified answer of a provider makes: a user who comes in, a new one, or a link between a user and an identity.

An identity is an issuer and a subject. Names and mail addresses are shown and never compared: whoever can choose them at a
provider must not become somebody else here.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from clusters.access import has_no_role
from clusters.access.audit import record
from clusters.access.given_roles import Sync, Wanted, give_roles, take_roles
from console.identity.claims import NAME_LENGTH, keep_claims, propose_user_name, read_groups
from console.identity.errors import IdentityError
from console.identity.mapping import find_wanted, list_mappings
from console.identity.providers import Provider, list_providers
from console.models import IdentityProvider, Invitation

INVITED_FOR = timedelta(hours=24)
ATTEMPTS = 3  # to add a user beside others who come at the same time

Claims = Mapping[str, Any]


def admit(provider: Provider, claims: Claims, address: str | None) -> User:
    """Return the user of this identity, with the roles that the groups give now. A new identity makes a new user, if the
    provider admits such. Raises IdentityError; roles that are no longer given are taken all the same."""
    wanted = find_wanted(list_mappings(provider.issuer), read_groups(claims, provider.groups_claim))
    account = find_account(provider, claims)
    if account is None:
        account = _add_user(provider, claims, wanted, address)
    user = account.user
    account.extra_data = keep_claims(claims)
    account.save(update_fields=["extra_data", "last_login"])
    give_roles(Sync(user, provider.issuer, user, address, f"sign-in at {provider.name}"), wanted)
    user = User.objects.get(pk=user.pk)
    if user.is_active and provider.admits == IdentityProvider.Admits.MAPPED and has_no_role(user):
        raise IdentityError("no_role", f"None of your groups at {provider.name} gives you a role here. Ask an administrator.")
    return user


def find_account(provider: Provider, claims: Claims) -> SocialAccount | None:
    rows = SocialAccount.objects.select_related("user")
    return rows.filter(provider=provider.issuer, uid=claims["sub"]).first()


def _add_user(provider: Provider, claims: Claims, wanted: Mapping[int | None, Wanted], address: str | None) -> SocialAccount:
    if provider.admits == IdentityProvider.Admits.KNOWN:
        raise IdentityError(
            "unknown", f"{provider.name} knows you, but no user here is linked to you. Ask an administrator for an invitation."
        )
    if provider.admits == IdentityProvider.Admits.MAPPED and not wanted:
        raise IdentityError("no_role", f"None of your groups at {provider.name} gives you a role here. Ask an administrator.")
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic():
                user = User(username=choose_user_name(propose_user_name(claims)))
                user.set_unusable_password()
                user.save()
                account = SocialAccount.objects.create(user=user, provider=provider.issuer, uid=claims["sub"])
                record(user, "user.add", user, address=address, by=f"sign-in at {provider.name}")
                return account
        except IntegrityError:
            if account := find_account(provider, claims):
                return account
    raise IdentityError("user", "Others were added at the same time. Begin anew.")


def choose_user_name(proposed: str) -> str:
    """Return a name that no user has, in whatever letter case."""
    for number in range(1, 1_000):
        end = f"-{number}" if number > 1 else ""
        name = f"{proposed[: NAME_LENGTH - len(end)]}{end}"
        if not User.objects.filter(username__iexact=name).exists():
            return name
    return f"{proposed[:100]}-{secrets.token_hex(8)}"


def link(provider: Provider, claims: Claims, user: User, actor: User, address: str | None, **details: Any) -> None:
    """Link the identity to the user. Raises IdentityError if it is another user's."""
    try:
        with transaction.atomic():
            account, is_new = SocialAccount.objects.get_or_create(
                provider=provider.issuer, uid=claims["sub"], defaults={"user": user, "extra_data": keep_claims(claims)}
            )
            if account.user_id != user.pk:
                raise IdentityError(
                    "taken", f"Your identity at {provider.name} belongs to another user here. Nothing was changed."
                )
            if is_new:
                record(actor, "identity.link", user, address=address, issuer=provider.issuer, **_name(account), **details)
    except IntegrityError as error:
        raise IdentityError("taken", "The same identity was linked at the same time. Nothing was changed.") from error


def unlink(account: SocialAccount, actor: User, address: str | None) -> None:
    """Remove the identity from its user, and the roles that its groups gave: no later sign-in would take them."""
    user = account.user
    with transaction.atomic():
        record(actor, "identity.unlink", user, address=address, issuer=account.provider, **_name(account))
        account.delete()
        if not SocialAccount.objects.filter(user=user, provider=account.provider).exists():
            users = User.objects.filter(pk=user.pk)
            take_roles(users, account.provider, actor, address, "unlinking the identity")


def is_last_way(account: SocialAccount) -> bool:
    """Return whether the user could not sign in without this identity."""
    if _may_use_password(account.user):
        return False
    issuers = [provider.issuer for provider in list_providers() if provider.is_enabled]
    return not SocialAccount.objects.filter(user=account.user, provider__in=issuers).exclude(pk=account.pk).exists()


def _may_use_password(user: User) -> bool:
    admitted = getattr(settings, "LOCAL_LOGIN", "everybody")
    return user.has_usable_password() and (admitted == "everybody" or (admitted == "superusers" and user.is_superuser))


def invite(user: User) -> str:
    """Return the key of a new invitation. A former one ends."""
    key = secrets.token_urlsafe(32)
    values = {"digest": _digest(key), "expires_at": timezone.now() + INVITED_FOR}
    Invitation.objects.update_or_create(user=user, defaults=values)
    return key


def find_invitation(key: str) -> Invitation | None:
    rows = Invitation.objects.select_related("user").filter(expires_at__gt=timezone.now(), user__is_active=True)
    return rows.filter(digest=_digest(key)).first()


def accept_invitation(provider: Provider, claims: Claims, key: str, address: str | None) -> User:
    """Link the identity to the invited user, and end the invitation. Raises IdentityError."""
    with transaction.atomic():
        found = find_invitation(key)
        # Of two at the same time one deletes it; the other finds nothing.
        if found is None or not Invitation.objects.filter(pk=found.pk, digest=found.digest).delete()[0]:
            raise IdentityError("invitation", "The invitation was used or has expired. Ask for another one.")
        link(provider, claims, found.user, found.user, address, by="invitation")
        return found.user


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _name(account: SocialAccount) -> dict[str, str]:
    shown = account.extra_data.get("preferred_username") or account.extra_data.get("email") or ""
    return {"subject": account.uid, **({"known_as": shown} if shown else {})}
