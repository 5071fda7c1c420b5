"""Roles that the groups of an identity provider give, at each sign-in. What was given is kept in GivenRole rows, and only that
is taken away. What people give by hand stays: as the role below a given one, or above it.

On a cluster a user has one ClusterGrant, so a given role stands in the place of a lower one, which comes back. For all clusters
it is one more group of the user.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet

from clusters.access.administrators import list_administrators
from clusters.access.audit import record
from clusters.models import ClusterGrant, GivenRole
from clusters.roles import Role

RANK: dict[str, int] = {role: rank for rank, role in enumerate(Role)} | {"": -1}


@dataclass(frozen=True)
class Wanted:
    """The role that a group gives."""

    role: Role
    group: str


@dataclass(frozen=True)
class Sync:
    """The act that gives and takes, mostly a sign-in: of whom, what which issuer gave, and what the audit entries say of it:
    who acts, from where, and `by` what."""

    user: User
    issuer: str
    actor: Any
    address: str | None
    by: str

    def record(self, action: str, target: Any, **details: Any) -> None:
        record(self.actor, action, target, address=self.address, by=self.by, **details)


def give_roles(sync: Sync, wanted: Mapping[int | None, Wanted]) -> None:
    """Give the wanted roles, by cluster id or None for all clusters, and take the roles that this issuer gave and that are not
    wanted any longer. The last administrator keeps the role."""
    with transaction.atomic():
        # As in `keep_administrators`: two who lose the role at the same time wait for each other here.
        list(Group.objects.select_for_update().filter(name=Role.ADMINISTRATOR.label))
        list(User.objects.select_for_update().filter(pk=sync.user.pk))
        given = {row.cluster_id: row for row in GivenRole.objects.filter(user=sync.user, issuer=sync.issuer)}
        for cluster_id in sorted(key for key in wanted.keys() | given.keys() if key is not None):
            _give_on_cluster(sync, cluster_id, given.get(cluster_id), wanted.get(cluster_id))
        _give_for_all(sync, given.get(None), wanted.get(None))
    for known in ("_permissions_for_all_clusters", "_cluster_permissions", "_granted_clusters"):
        sync.user.__dict__.pop(known, None)


def take_roles(users: QuerySet[User], issuer: str, actor: Any, address: str | None, by: str) -> None:
    """Take from the users what the issuer's groups gave them."""
    for user in users.filter(given_roles__issuer=issuer).distinct():
        give_roles(Sync(user, issuer, actor, address, by), {})


def forget_given_role(user: User, cluster_id: int | None) -> None:
    """Note that a person has decided the user's role there, so that no sign-in takes it. Call it in the change's own
    transaction."""
    _rows_at(user, cluster_id).delete()


def _rows_at(user: User, cluster_id: int | None) -> QuerySet[GivenRole]:
    rows = GivenRole.objects.filter(user=user)
    return rows.filter(cluster__isnull=True) if cluster_id is None else rows.filter(cluster_id=cluster_id)


def _give_on_cluster(sync: Sync, cluster_id: int, given: GivenRole | None, wanted: Wanted | None) -> None:
    grant = ClusterGrant.objects.select_related("cluster").filter(user=sync.user, cluster_id=cluster_id).first()
    role = grant.role if grant else ""
    others = list(_rows_at(sync.user, cluster_id).exclude(issuer=sync.issuer))
    rows = [*others, *([given] if given else [])]
    by_hand = rows[0].by_hand if rows else role
    if rows and role != _highest(by_hand, *(row.role for row in rows)):
        by_hand = role  # somebody has changed the grant since, in the Django admin
        GivenRole.objects.filter(pk__in=[row.pk for row in others]).update(by_hand=by_hand)
    _write_row(sync, cluster_id, given, wanted, by_hand=by_hand)
    now = _highest(by_hand, *(row.role for row in others), wanted.role if wanted else "")
    if now == role:
        return
    groups = {"group": wanted.group if wanted else given.group if given else ""}
    if grant is None:
        added = ClusterGrant.objects.create(user=sync.user, cluster_id=cluster_id, role=now)
        sync.record("grant.add", added, user=sync.user.username, changes={"role": [now]}, **groups)
    elif now:
        grant.role = now
        grant.save(update_fields=["role"])
        sync.record("grant.change", grant, user=sync.user.username, changes={"role": [role, now]}, **groups)
    else:
        sync.record("grant.delete", grant, user=sync.user.username, role=role, **groups)
        grant.delete()


def _give_for_all(sync: Sync, given: GivenRole | None, wanted: Wanted | None) -> None:
    user = sync.user
    kept = wanted and given and wanted.role == given.role and user.groups.filter(name=wanted.role.label).exists()
    if given and not kept and not _take_for_all(sync, given):
        return
    if not wanted:
        return
    if kept:
        _write_row(sync, None, given, wanted, by_hand=given.by_hand if given else "", was_staff=bool(given and given.was_staff))
        return
    has_it = user.groups.filter(name=wanted.role.label).exists()
    other = GivenRole.objects.filter(user=user, cluster=None, role=wanted.role).exclude(issuer=sync.issuer).first()
    by_hand = other.by_hand if other else wanted.role if has_it else ""
    _write_row(sync, None, None, wanted, by_hand=by_hand, was_staff=other.was_staff if other else user.is_staff)
    if has_it:
        return
    user.groups.add(Group.objects.get(name=wanted.role.label))
    if wanted.role == Role.ADMINISTRATOR and not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
    sync.record("user.change", user, changes={"role": [str(wanted.role.label)]}, group=wanted.group)


def _take_for_all(sync: Sync, given: GivenRole) -> bool:
    """Return whether nothing of it is left. The last administrator's role stays, and its row with it."""
    user, role = sync.user, Role(given.role)
    others = GivenRole.objects.filter(user=user, cluster=None, role=role).exclude(pk=given.pk)
    stays = given.by_hand or others.exists() or not user.groups.filter(name=role.label).exists()
    if not stays and role == Role.ADMINISTRATOR and not _others_administer(user):
        sync.record("user.change", user, kept="the last administrator keeps the role", group=given.group)
        return False
    given.delete()
    if stays:
        return True
    user.groups.remove(Group.objects.get(name=role.label))
    if role == Role.ADMINISTRATOR and not given.was_staff and not user.is_superuser:
        user.is_staff = False
        user.save(update_fields=["is_staff"])
    sync.record("user.change", user, changes={"role": [str(role.label), "none"]}, group=given.group)
    return True


def _others_administer(user: User) -> bool:
    return user.is_superuser or list_administrators().exclude(pk=user.pk).exists()


def _write_row(sync: Sync, cluster_id: int | None, given: GivenRole | None, wanted: Wanted | None, **kept: Any) -> None:
    if given and (wanted is None or (given.role, given.group) != (wanted.role, wanted.group[:255])):
        given.delete()
        given = None
    if wanted and given:
        GivenRole.objects.filter(pk=given.pk).update(**kept)
    elif wanted:
        values = {"role": wanted.role, "group": wanted.group[:255], "cluster_id": cluster_id, **kept}
        GivenRole.objects.create(user=sync.user, issuer=sync.issuer, **values)


def _highest(*roles: str) -> str:
    return max(roles, key=lambda role: RANK[role])
