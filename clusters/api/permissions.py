"""The rights of the API: those of the pages and the admin (clusters.access)."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from clusters.access import has_anywhere, scope_visible


class ObjectPermissions(IsAuthenticated):
    """A view set's `permissions` names the permission of each action that does more than read, asked for on the object.

    Reading needs nothing here: what one may not see is not among the rows (VisibleRows)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """An action without an object is allowed who has its permission anywhere, and asks again where it is known where."""
        permission = view.permissions.get(view.action)
        asked_later = view.detail or permission is None
        return super().has_permission(request, view) and (asked_later or has_anywhere(request.user, permission))

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        permission = view.permissions.get(view.action)
        return permission is None or request.user.has_perm(permission, obj)


class VisibleRows(GenericViewSet[Any]):
    """Shows the rows that the user may see. `permissions`: see ObjectPermissions."""

    permission_classes = [ObjectPermissions]
    permissions: dict[str, str] = {}

    def get_queryset(self) -> QuerySet[Any]:
        return scope_visible(super().get_queryset(), self.request.user)
