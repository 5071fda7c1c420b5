"""The permissions of the API, which are those of the pages and the admin (clusters.access)."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from clusters.access import has_anywhere, scope_visible


class ObjectPermissions(IsAuthenticated):
    """Checks the permission that a view set's `permissions` names for an action, on the object.

    Actions that only read need no entry: rows that the user may not see are filtered out (VisibleRows).
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Allow an action without an object if the user has its permission on any cluster. The view checks the cluster itself
        as soon as it knows it."""
        permission = view.permissions.get(view.action)
        checked_later = view.detail or permission is None
        return super().has_permission(request, view) and (checked_later or has_anywhere(request.user, permission))

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        permission = view.permissions.get(view.action)
        return permission is None or request.user.has_perm(permission, obj)


class VisibleRows(GenericViewSet[Any]):
    """A view set of the rows that the user may see. ObjectPermissions describes `permissions`."""

    permission_classes = [ObjectPermissions]
    permissions: dict[str, str] = {}

    def get_queryset(self) -> QuerySet[Any]:
        return scope_visible(super().get_queryset(), self.request.user)
