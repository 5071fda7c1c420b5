"""The API of clusters, registries and the inventory."""

from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import (
    CreateModelMixin,
    DestroyModelMixin,
    ListModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from clusters import connection_check
from clusters.access import CHOOSE_ENGINES, get_visible_row
from clusters.access.audit import record_act, record_addition, record_change
from clusters.access.changes import read_stored_values
from clusters.allowances import note_registries
from clusters.api.filters import FilteredRows
from clusters.api.permissions import VisibleRows
from clusters.api.relations import prefetch_for
from clusters.api.serializers import (
    ApplicationSerializer,
    ClusterSerializer,
    ConnectionTestSerializer,
    NodeSerializer,
    RegistrySerializer,
    RegistryWithLinkSerializer,
    ServiceDetailSerializer,
    ServiceSerializer,
)
from clusters.engine.errors import EngineError
from clusters.models import Application, Cluster, Node, Registry, Service


class ClusterViewSet(
    CreateModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
    DestroyModelMixin,
    ListModelMixin,
    VisibleRows,
):
    """Docker engines."""

    queryset = Cluster.objects.order_by("name")
    serializer_class = ClusterSerializer
    permissions = {
        "create": CHOOSE_ENGINES,
        "partial_update": "clusters.change_cluster",
        "destroy": "clusters.delete_cluster",
        "test": CHOOSE_ENGINES,
    }
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    @transaction.atomic
    def perform_create(self, serializer: BaseSerializer[Cluster]) -> None:
        added = serializer.save()
        record_addition(self.request._request, "cluster.add", added, serializer.validated_data, **note_registries(added))

    @transaction.atomic
    def perform_update(self, serializer: BaseSerializer[Cluster]) -> None:
        assert serializer.instance
        fields = sorted(serializer.validated_data)
        before = read_stored_values(serializer.instance, fields)
        saved = serializer.save()
        record_change(self.request._request, "cluster.change", saved, before, **note_registries(saved, fields))

    @transaction.atomic
    def perform_destroy(self, instance: Cluster) -> None:
        record_act(self.request._request, "cluster.delete", instance)
        instance.delete()

    @extend_schema(request=None, responses=ConnectionTestSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Connect to the cluster now. Returns the engine's version, or the exact reason why it cannot be reached. Only for
        administrators of all clusters."""
        return Response(describe_connection(self.get_object()))


def describe_connection(cluster: Cluster) -> dict[str, Any]:
    try:
        facts = connection_check.check_connection(cluster.endpoint)
    except EngineError as error:
        return {"reachable": False, "message": error.message, "reason": error.code}
    wanted = ConnectionTestSerializer().fields
    return {"reachable": True, "message": "", "reason": ""} | {k: v for k, v in asdict(facts).items() if k in wanted}


class RegistryViewSet(
    CreateModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
    DestroyModelMixin,
    ListModelMixin,
    VisibleRows,
):
    """Image registries with their credentials and inbound links. Registries belong to no cluster, so roles on single clusters
    do not include them. Lists do not contain the link: creating a registry returns it, and so does `reveal`, which the audit
    log records.

    To refresh a token that expires, for example by cron, PATCH `password` and `password_expires_at`."""

    queryset = Registry.objects.order_by("host")
    serializer_class = RegistrySerializer
    permissions = {
        "create": "clusters.add_registry",
        "partial_update": "clusters.change_registry",
        "destroy": "clusters.delete_registry",
        "reveal": "clusters.reveal_registry",
        "rotate": "clusters.change_registry",
    }
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        return rows.prefetch_related(prefetch_for(self.request.user)) if self.action == "list" else rows

    @extend_schema(responses={201: RegistryWithLinkSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            added = serializer.save()
            record_addition(request._request, "registry.add", added, serializer.validated_data)
        return Response(self._with_link(added), status=201)

    @transaction.atomic
    def perform_update(self, serializer: BaseSerializer[Registry]) -> None:
        assert serializer.instance
        before = read_stored_values(serializer.instance, sorted(serializer.validated_data))
        record_change(self.request._request, "registry.change", serializer.save(), before)

    @transaction.atomic
    def perform_destroy(self, instance: Registry) -> None:
        record_act(self.request._request, "registry.delete", instance)
        instance.delete()

    @extend_schema(request=None, responses=RegistryWithLinkSerializer)
    @action(detail=True, methods=["post"])
    def reveal(self, request: Request, pk: str) -> Response:
        """Return the registry with its inbound link. The audit log records who requested it."""
        registry = self.get_object()
        record_act(request._request, "registry.reveal", registry)
        return Response(self._with_link(registry))

    @extend_schema(request=None, responses=RegistryWithLinkSerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Give the inbound link a new token. The old link stops working immediately."""
        registry = self.get_object()
        with transaction.atomic():
            registry.rotate_token()
            record_act(request._request, "registry.rotate", registry)
        return Response(self._with_link(registry))

    def _with_link(self, registry: Registry) -> Any:
        return RegistryWithLinkSerializer(registry, context=self.get_serializer_context()).data


class NodeViewSet(ListModelMixin, VisibleRows):
    """The nodes of a cluster that is a Swarm, as last seen."""

    queryset = Node.objects.order_by("hostname", "node_id")
    serializer_class = NodeSerializer

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(cluster=get_visible_row(Cluster.objects.all(), self.request.user, pk=self.kwargs["cluster_id"]))


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("cluster", int, description="Only applications of the cluster with this id."),
            OpenApiParameter("search", str, description="Only applications whose name contains this text."),
        ]
    )
)
class ApplicationViewSet(RetrieveModelMixin, ListModelMixin, FilteredRows):
    """Compose projects, lone containers, Swarm stacks and lone Swarm services, as last seen."""

    queryset = Application.objects.order_by("name", "pk")
    serializer_class = ApplicationSerializer
    id_filters = ("cluster",)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        queryset = super().filter_queryset(queryset)
        if search := self.request.query_params.get("search", "").replace("\0", ""):
            queryset = queryset.filter(name__icontains=search)
        return queryset


@extend_schema_view(
    list=extend_schema(
        parameters=[OpenApiParameter("application", int, description="Only services of the application with this id.")]
    )
)
class ServiceViewSet(RetrieveModelMixin, ListModelMixin, FilteredRows):
    """The parts of applications, as last seen. A single service is returned with its tasks."""

    queryset = Service.objects.order_by("name", "pk")
    id_filters = ("application",)

    def get_serializer_class(self) -> type[ServiceSerializer]:
        return ServiceDetailSerializer if self.action == "retrieve" else ServiceSerializer
