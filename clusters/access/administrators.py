"""Who can give roles to others, and that somebody always can."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Q, QuerySet

from clusters.roles import Role

ROLE_GROUPS = [role.label for role in Role]


class LockedOut(Exception):
    """The change would have left nobody, or not the one who makes it, to undo it. The message is a sentence."""


def list_administrators() -> QuerySet[User]:
    """Those who can sign in and have every right for all clusters."""
    return User.objects.filter(Q(is_superuser=True) | Q(groups__name=Role.ADMINISTRATOR.label), is_active=True).distinct()


@contextmanager
def keep_administrators(actor: Any) -> Iterator[None]:
    """A transaction around a change of users. Raises LockedOut and undoes it when no administrator would be left, or
    when the actor would no longer be one."""
    with transaction.atomic():
        # Two administrators who withdraw each other's role at once wait for each other here.
        list(Group.objects.select_for_update().filter(name=Role.ADMINISTRATOR.label))
        was_one = list_administrators().filter(pk=actor.pk).exists()
        yield
        if was_one and not list_administrators().filter(pk=actor.pk).exists():
            raise LockedOut("You cannot take your own administration away; another administrator can.")
        if not list_administrators().exists():
            raise LockedOut("Nobody could administrate the console any more: this is its last administrator.")


def may_manage(actor: Any, user: User) -> bool:
    """Superusers are changed by superusers alone: whoever sets their password has their rights."""
    return bool(actor.has_perm("auth.change_user") and (actor.is_superuser or not user.is_superuser))


def find_role(user: User) -> Role | None:
    """The greatest role that the user has for all clusters. Prefetch `groups` where there are many users."""
    names = {group.name for group in user.groups.all()}
    return next((role for role in reversed(Role) if role.label in names), None)


def set_role(user: User, role: Role | None) -> None:
    """The user's one role for all clusters. Administrators may also use the Django admin; who is one no more may not."""
    was_administrator = find_role(user) == Role.ADMINISTRATOR
    user.groups.remove(*Group.objects.filter(name__in=ROLE_GROUPS))
    if role:
        user.groups.add(Group.objects.get(name=role.label))
    if was_administrator or role == Role.ADMINISTRATOR:
        user.is_staff = user.is_superuser or role == Role.ADMINISTRATOR
        user.save(update_fields=["is_staff"])
