"""Decides which user may do what on which cluster, for pages, API and admin alike.

Permissions are Django's, by name ("triggers.add_triggercall"). A user has one for all clusters (superuser, user or group
permissions), or on single clusters through a ClusterGrant to the user or to one of the user's groups. Check with an object:
`user.has_perm("triggers.add_triggercall", application)`. Narrow lists with `scope`. A row that a user may not see does not
exist for that user (`get_visible_row`); an action on a visible row that the user may not take is refused
(`require_permission`).

A request by an API token may do less than its user. Its limit (`clusters.access.limits`) is applied where permissions are read,
here, so it holds for all of these.
"""

from collections import defaultdict
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.shortcuts import get_object_or_404

from clusters.access.limits import find_limit
from clusters.models import Cluster, ClusterGrant
from clusters.roles import FOR_ALL_CLUSTERS, FOR_ONE_CLUSTER, Role
from clusters.selectors import without_keys

Row = TypeVar("Row", bound=Model)

# The path from a row to its cluster's id, by model label. Every new model that belongs to a cluster needs an entry.
PATHS = {
    "clusters.Cluster": "pk",
    "clusters.Node": "cluster_id",
    "clusters.Application": "cluster_id",
    "clusters.Service": "application__cluster_id",
    "clusters.Container": "service__application__cluster_id",
    "clusters.Task": "service__application__cluster_id",
    "clusters.ClusterGrant": "cluster_id",
    "clusters.AuditEntry": "cluster_id",
    "triggers.Trigger": "application__cluster_id",
    "triggers.TriggerCall": "application__cluster_id",
    "triggers.TriggerCallEvent": "call__application__cluster_id",
    "triggers.ImageSubscription": "trigger__application__cluster_id",
    "triggers.DeliveryLine": "trigger__application__cluster_id",
    "triggers.FreezeWindow": "cluster_id",
    "triggers.TrustedJob": "trigger__application__cluster_id",
}


class AllClustersBackend(ModelBackend):
    """Django's passwords, as far as LOCAL_LOGIN lets them sign in, and permissions without an object. Reads those of the user
    and of all the user's groups in one query."""

    def authenticate(self, request: Any, username: str | None = None, password: str | None = None, **kwargs: Any) -> Any:
        """Whoever may not sign in by password is answered like whoever has a wrong one, and after the same work."""
        if settings.LOCAL_LOGIN == "nobody":
            return None
        user = super().authenticate(request, username, password, **kwargs)
        return user if user and (settings.LOCAL_LOGIN == "everybody" or user.is_superuser) else None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or user_obj.is_superuser or obj is not None:
            return super().get_all_permissions(user_obj, obj)
        found, limit = permissions_for_all_clusters(user_obj), find_limit(user_obj)
        return found & limit.for_all_clusters if limit else found

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        found: set[str] = super().get_user_permissions(user_obj, obj)
        return found & self.get_all_permissions(user_obj, obj) if find_limit(user_obj) else found

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        found: set[str] = super().get_group_permissions(user_obj, obj)
        return found & self.get_all_permissions(user_obj, obj) if find_limit(user_obj) else found


class ClusterGrantBackend(BaseBackend):
    """Permissions on objects. AllClustersBackend answers for those without an object, and knows none on objects."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if obj is None or not user_obj.is_active or user_obj.is_anonymous:
            return False
        return user_obj.has_perm(perm) or perm in permissions_by_cluster(user_obj).get(find_cluster_id(obj), ())


def permissions_for_all_clusters(user: Any) -> set[str]:
    """Return the user's own permissions for all clusters, whatever the limit of the request's token. They are queried once per
    user object, thus once per request."""
    known: set[str] | None = getattr(user, "_permissions_for_all_clusters", None)
    if known is None:
        limit = find_limit(user)
        if limit and limit.is_of_superuser:
            known = set(FOR_ALL_CLUSTERS[Role.ADMINISTRATOR])  # no token has more
        else:
            permissions = Permission.objects.order_by().values_list("content_type__app_label", "codename")
            found = permissions.filter(user=user).union(permissions.filter(group__user=user))
            known = {f"{app}.{codename}" for app, codename in found}
        user._permissions_for_all_clusters = known
    return known


def permissions_by_cluster(user: Any) -> dict[int, set[str]]:
    """Return the permissions on single clusters, by cluster id: those of grants, and for a token that is for chosen clusters
    all that the user has there. They are queried once per user object, thus once per request."""
    known: dict[int, set[str]] | None = getattr(user, "_cluster_permissions", None)
    if known is None:
        known, clusters = defaultdict(set), {}
        for grant in without_keys(ClusterGrant.objects.filter(Q(user=user) | Q(group__user=user))):
            known[grant.cluster_id] |= FOR_ONE_CLUSTER[grant.role]
            clusters[grant.cluster_id] = grant.cluster
        if limit := find_limit(user):
            if limit.clusters is not None:
                everywhere, clusters = permissions_for_all_clusters(user), dict(limit.clusters)
                known = {cluster_id: known[cluster_id] | everywhere for cluster_id in clusters}
            known = {cluster_id: found & limit.for_one_cluster for cluster_id, found in known.items()}
        user._cluster_permissions, user._granted_clusters = known, clusters
    return known


def find_cluster_id(row: Model) -> Any:
    """Return the id of the cluster that a row belongs to, or None. Follows relations: select them if queries matter."""
    value: Any = row
    if row._meta.label not in PATHS:
        return None
    for name in PATHS[row._meta.label].split("__"):
        value = getattr(value, name)
    return value


def has_anywhere(user: Any, permission: str) -> bool:
    """Return whether the user has the permission on at least one cluster. Decides what to offer before a cluster is chosen."""
    if not user.is_active or user.is_anonymous:
        return False
    return user.has_perm(permission) or any(permission in found for found in permissions_by_cluster(user).values())


def scope(rows: QuerySet[Row], user: Any, permission: str) -> QuerySet[Row]:
    """Return the rows on the clusters where the user has the permission. Needs no query for a user who has it for all clusters.

    Rows that belong to no cluster (registries, deliveries) are only for users who have the permission for all clusters.
    """
    if not user.is_active or user.is_anonymous:
        return rows.none()
    if user.has_perm(permission):
        return rows
    if rows.model._meta.label not in PATHS:
        return rows.none()
    allowed = [cluster_id for cluster_id, found in permissions_by_cluster(user).items() if permission in found]
    return rows.filter(**{f"{PATHS[rows.model._meta.label]}__in": allowed})


def scope_visible(rows: QuerySet[Row], user: Any) -> QuerySet[Row]:
    return scope(rows, user, view_permission(rows.model))


def view_permission(model: type[Model]) -> str:
    return f"{model._meta.app_label}.view_{model._meta.model_name}"


def get_visible_row(rows: QuerySet[Row], user: Any, **lookup: Any) -> Row:
    """Return the one row that `lookup` finds. Raises Http404 if there is none, or if the user may not see it."""
    return get_object_or_404(scope_visible(rows, user), **lookup)


def require_permission(user: Any, permission: str, row: Model | None = None) -> None:
    """Raise PermissionDenied unless the user has the permission on the row, or for all clusters if no row is given."""
    if not user.has_perm(permission, row):
        raise PermissionDenied


# The right to say which engine a cluster is. It is one for all clusters: whoever can point one cluster at the address of
# another has every right on what runs there, and a connection test tells what answers in the console's network.
CHOOSE_ENGINES = "clusters.add_cluster"


def may_choose_engines(user: Any) -> bool:
    """Return whether the user may add clusters, change `Cluster.CONNECTION`, and test connections."""
    return bool(user.has_perm(CHOOSE_ENGINES))


def may_allow_credentials(user: Any) -> bool:
    """Return whether the user may decide which clusters get which registry's credentials."""
    return may_choose_engines(user) and bool(user.has_perm("clusters.change_registry"))


def has_no_role(user: Any) -> bool:
    """Return whether the user may see and do nothing at all. Needs no query for a user who sees everything."""
    return not has_anywhere(user, "clusters.view_cluster") and not user.get_all_permissions()


def visible_clusters(user: Any) -> QuerySet[Cluster]:
    return scope_visible(Cluster.objects.all(), user)


def list_visible_clusters(user: Any) -> list[Cluster]:
    """Return the clusters by name, without their keys. Granted clusters were read with the permissions, in the same query."""
    permission = view_permission(Cluster)
    if not user.is_active or user.is_anonymous or user.has_perm(permission):
        return list(without_keys(visible_clusters(user), path=""))
    found = permissions_by_cluster(user)
    return [cluster for key, cluster in user._granted_clusters.items() if permission in found[key]]


def sync_role_groups() -> None:
    """Give each role's group exactly the role's permissions, and create missing groups. Safe to repeat."""
    named = Permission.objects.annotate(name_of=Concat("content_type__app_label", Value("."), "codename"))
    for role in Role:
        group, _ = Group.objects.get_or_create(name=role.label)
        group.permissions.set(named.filter(name_of__in=FOR_ALL_CLUSTERS[role]))
