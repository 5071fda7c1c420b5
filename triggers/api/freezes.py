"""The API of freeze windows, and of the reason to call in spite of one."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from clusters.access import require_permission, scope_visible
from clusters.api.filters import FilteredRows
from clusters.api.relations import VisibleCluster
from clusters.api.serializers import check_model
from clusters.models import Application
from triggers.freeze_changes import REASON_LENGTH, add_window, change_window, delete_window, permission_to_change
from triggers.models import FreezeWindow
from triggers.timing.spans import DAYS

WORDS = [day.lower() for day in DAYS]
FIXED_FIELDS = ("cluster", "application")


class DayField(serializers.ChoiceField):
    """A day of the week by its word; a row keeps its number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=WORDS, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return WORDS.index(super().to_internal_value(data))

    def to_representation(self, value: Any) -> Any:
        return WORDS[value] if isinstance(value, int) else value


class VisibleApplication(serializers.PrimaryKeyRelatedField[Application]):
    """The id of an application that the user may see."""

    def get_queryset(self) -> Any:
        return scope_visible(Application.objects.select_related("cluster"), self.context["request"].user)


class FreezeWindowSerializer(serializers.ModelSerializer[FreezeWindow]):
    """Times in which redeploys wait or are refused: weekly, with `days`, `start_time` and `end_time`, or once, from `starts_at`
    to `ends_at`."""

    cluster = VisibleCluster(required=False, help_text="The id of a cluster: everything on it is frozen.")
    application = VisibleApplication(
        required=False, allow_null=True, help_text="The id of an application, instead of a cluster."
    )
    days = serializers.ListField(
        child=DayField(), required=False, max_length=7, help_text="On which it begins each week. Empty: once."
    )
    end_day = DayField(
        required=False, allow_null=True, help_text="On which it ends. Without it: on the day it begins, or on the next one."
    )

    class Meta:
        model = FreezeWindow
        fields = [
            "id",
            "cluster",
            "application",
            "name",
            "reason",
            "behaviour",
            "includes_scaling",
            "days",
            "start_time",
            "end_day",
            "end_time",
            "zone",
            "starts_at",
            "ends_at",
            "created_at",
        ]
        read_only_fields = ["created_at"]

    def validate_days(self, days: list[int]) -> list[int]:
        return sorted(set(days))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Set the values on the window, and check them together."""
        if self.instance is None:
            return {"window": self._make(attrs)}
        fixed = [name for name in FIXED_FIELDS if name in attrs]
        if fixed:
            raise serializers.ValidationError(dict.fromkeys(fixed, ["Cannot be changed; add another window."]))
        return {"window": self._fill(self.instance, attrs)}

    def _make(self, attrs: dict[str, Any]) -> FreezeWindow:
        cluster, application = attrs.pop("cluster", None), attrs.pop("application", None)
        if (cluster is None) == (application is None):
            raise serializers.ValidationError({"application": ["Give either an application or a cluster."]})
        return self._fill(FreezeWindow(cluster=cluster or application.cluster, application=application), attrs)

    def _fill(self, window: FreezeWindow, attrs: dict[str, Any]) -> FreezeWindow:
        for name, value in attrs.items():
            setattr(window, name, value)
        check_model(window)
        return window


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter(
                "cluster", int, description="Return only windows on this cluster (id), those of applications too."
            ),
            OpenApiParameter("application", int, description="Return only windows of this application (id)."),
        ]
    )
)
class FreezeWindowViewSet(FilteredRows, ModelViewSet[FreezeWindow]):
    """Freeze windows. Those of an application take the right to change its triggers, those of a cluster the Administrator role
    there."""

    queryset = FreezeWindow.objects.select_related("cluster", "application").order_by("pk")
    serializer_class = FreezeWindowSerializer
    id_filters = ("cluster", "application")
    permissions = {"create": "triggers.change_trigger"}  # an Administrator has it too
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def perform_create(self, serializer: BaseSerializer[FreezeWindow]) -> None:
        window = serializer.validated_data["window"]
        self.require_change(window)
        add_window(self.request._request, window)
        serializer.instance = window

    def perform_update(self, serializer: BaseSerializer[FreezeWindow]) -> None:
        change_window(self.request._request, serializer.validated_data["window"])

    def perform_destroy(self, instance: FreezeWindow) -> None:
        delete_window(self.request._request, instance)

    def get_object(self) -> FreezeWindow:
        """Refuse a change before the body is judged, as for other rows."""
        window: FreezeWindow = super().get_object()
        if self.action in ("partial_update", "destroy"):
            self.require_change(window)
        return window

    def require_change(self, window: FreezeWindow) -> None:
        """Raises PermissionDenied."""
        require_permission(self.request.user, permission_to_change(window.place), window)


class OverrideSerializer(serializers.Serializer[Any]):
    override_reason = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=REASON_LENGTH,
        help_text="Why to do it in spite of freeze windows. It is kept with the call and in the audit log.",
    )


class ReleaseSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=REASON_LENGTH, help_text="Kept with the call and in the audit log.")
