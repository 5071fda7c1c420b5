"""Who may do what on which cluster: one answer for pages, API and admin.

Permissions are Django's, by name ("triggers.add_triggercall"). A user has one for all clusters (superuser, user or group
permissions) or on single clusters by a ClusterGrant to the user or to one of the user's groups. Ask with an object:
`user.has_perm("triggers.add_triggercall", application)`; narrow lists with `scope`. What somebody may not see does not
exist for them (`get_visible`); what they see but may not do is refused (`require`).
"""

from collections import defaultdict
from typing import Any, TypeVar

from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.shortcuts import get_object_or_404

from clusters.models import Cluster, ClusterGrant
from clusters.roles import FOR_ALL_CLUSTERS, FOR_ONE_CLUSTER, Role

Row = TypeVar("Row", bound=Model)

# The way from a row to its cluster's id, by model label. Whoever adds a model that belongs to a cluster names it here.
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
}


class AllClustersBackend(ModelBackend):
    """Django's own users and their permissions without an object: those of the user and of all groups in one query."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or user_obj.is_superuser or obj is not None:
            return super().get_all_permissions(user_obj, obj)
        known: set[str] | None = getattr(user_obj, "_permissions_for_all_clusters", None)
        if known is None:
            permissions = Permission.objects.order_by().values_list("content_type__app_label", "codename")
            found = permissions.filter(user=user_obj).union(permissions.filter(group__user=user_obj))
            known = user_obj._permissions_for_all_clusters = {f"{app}.{codename}" for app, codename in found}
        return known


class ClusterGrantBackend(BaseBackend):
    """Permissions on objects; those without an object are AllClustersBackend's to answer, which knows none on objects."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if obj is None or not user_obj.is_active or user_obj.is_anonymous:
            return False
        return user_obj.has_perm(perm) or perm in permissions_by_cluster(user_obj).get(find_cluster_id(obj), ())


def permissions_by_cluster(user: Any) -> dict[int, set[str]]:
    """The permissions that grants give, by cluster id. Asked once a user object, which is once a request."""
    known: dict[int, set[str]] | None = getattr(user, "_cluster_permissions", None)
    if known is None:
        known, clusters = defaultdict(set), {}
        grants = ClusterGrant.objects.filter(Q(user=user) | Q(group__user=user)).select_related("cluster")
        for grant in grants.defer(*(f"cluster__{name}" for name in Cluster.KEYS)):
            known[grant.cluster_id] |= FOR_ONE_CLUSTER[grant.role]
            clusters[grant.cluster_id] = grant.cluster
        user._cluster_permissions, user._granted_clusters = known, clusters
    return known


def find_cluster_id(row: Model) -> Any:
    """The cluster that a row belongs to; None for what belongs to none. Follows relations: select them where it matters."""
    value: Any = row
    if row._meta.label not in PATHS:
        return None
    for name in PATHS[row._meta.label].split("__"):
        value = getattr(value, name)
    return value


def has_anywhere(user: Any, permission: str) -> bool:
    """For all clusters or on at least one: whether to offer something before it is known where."""
    if not user.is_active or user.is_anonymous:
        return False
    return user.has_perm(permission) or any(permission in found for found in permissions_by_cluster(user).values())


def scope(rows: QuerySet[Row], user: Any, permission: str) -> QuerySet[Row]:
    """Those of the rows that lie on clusters where the user has the permission. Costs nothing for who has it for all.

    What belongs to no cluster (registries, deliveries) is for those who have it for all."""
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


def get_visible(rows: QuerySet[Row], user: Any, **lookup: Any) -> Row:
    """The one row that `lookup` finds. Raises Http404 as well where it is there and the user may not see it."""
    return get_object_or_404(scope_visible(rows, user), **lookup)


def require(user: Any, permission: str, row: Model | None = None) -> None:
    """Raises PermissionDenied unless the user has the permission on the row; without one for all clusters."""
    if not user.has_perm(permission, row):
        raise PermissionDenied


def has_no_role(user: Any) -> bool:
    """Whether there is nothing that the user may see or do. Costs nothing for who sees everything."""
    return not has_anywhere(user, "clusters.view_cluster") and not user.get_all_permissions()


def visible_clusters(user: Any) -> QuerySet[Cluster]:
    return scope_visible(Cluster.objects.all(), user)


def list_visible_clusters(user: Any) -> list[Cluster]:
    """By name and without their keys. Those of grants came with the permissions, at no query of their own."""
    permission = view_permission(Cluster)
    if not user.is_active or user.is_anonymous or user.has_perm(permission):
        return list(visible_clusters(user).defer(*Cluster.KEYS))
    found = permissions_by_cluster(user)
    return [cluster for key, cluster in user._granted_clusters.items() if permission in found[key]]


def sync_role_groups() -> None:
    """Each role's group, made where it is missing, has the role's permissions and no others. Safe to repeat."""
    named = Permission.objects.annotate(name_of=Concat("content_type__app_label", Value("."), "codename"))
    for role in Role:
        group, _ = Group.objects.get_or_create(name=role.label)
        group.permissions.set(named.filter(name_of__in=FOR_ALL_CLUSTERS[role]))
