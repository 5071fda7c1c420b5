"""Administrators, who give roles to others. There is always at least one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Q, QuerySet

from clusters.access import permissions_by_cluster
from clusters.models import GivenRole
from clusters.roles import ADMINISTRATOR, DEPLOYER, Role

ROLE_GROUPS = [role.label for role in Role]


class LockedOut(Exception):
    """The change would leave no administrator, or remove the role from the person who makes it. The message is a sentence."""


def list_administrators() -> QuerySet[User]:
    """Return the users who can sign in and have all permissions for all clusters."""
    return User.objects.filter(Q(is_superuser=True) | Q(groups__name=Role.ADMINISTRATOR.label), is_active=True).distinct()


def is_administrator(user: Any) -> bool:
    """Return whether the user is a superuser, or has on any cluster a right that only Administrators have."""
    if not user.is_active or user.is_superuser:
        return bool(user.is_superuser and user.is_active)
    rights = user.get_all_permissions().union(*permissions_by_cluster(user).values())
    return bool(rights & (ADMINISTRATOR - DEPLOYER))


@contextmanager
def keep_administrators(actor: Any) -> Iterator[None]:
    """Run a change of users in a transaction. Raises LockedOut and undoes the change if no administrator would be left, or if
    the actor would no longer be one."""
    with transaction.atomic():
        # Two administrators who revoke each other's role at the same time wait for each other here.
        list(Group.objects.select_for_update().filter(name=Role.ADMINISTRATOR.label))
        was_one = list_administrators().filter(pk=actor.pk).exists()
        yield
        if was_one and not list_administrators().filter(pk=actor.pk).exists():
            raise LockedOut("You cannot remove your own Administrator role. Another administrator can.")
        if not list_administrators().exists():
            raise LockedOut("This is the console's last administrator.")


def may_manage(actor: Any, user: User) -> bool:
    """Return whether the actor may change the user. Only superusers may change superusers: setting a password takes over all
    permissions of the user."""
    return bool(actor.has_perm("auth.change_user") and (actor.is_superuser or not user.is_superuser))


def find_role(user: User) -> Role | None:
    """Return the user's highest role for all clusters. Prefetch `groups` when there are many users."""
    names = {group.name for group in user.groups.all()}
    return next((role for role in reversed(Role) if role.label in names), None)


def set_role(user: User, role: Role | None) -> None:
    """Make `role` the user's only role for all clusters, by hand: no sign-in takes it. Administrators get access to the Django
    admin; others lose it."""
    GivenRole.objects.filter(user=user, cluster=None).delete()
    was_administrator = find_role(user) == Role.ADMINISTRATOR
    user.groups.remove(*Group.objects.filter(name__in=ROLE_GROUPS))
    if role:
        user.groups.add(Group.objects.get(name=role.label))
    if was_administrator or role == Role.ADMINISTRATOR:
        user.is_staff = user.is_superuser or role == Role.ADMINISTRATOR
        user.save(update_fields=["is_staff"])
