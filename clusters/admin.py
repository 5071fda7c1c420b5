"""The inventory in the admin: clusters can be kept here, what was observed can only be read."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from clusters.badges import render_badge
from clusters.forms import ClusterForm
from clusters.models import Application, Cluster, Container, Node, Service, Task


class ReadOnlyAdmin(admin.ModelAdmin):
    """What was observed or has happened: nobody edits it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Cluster)
class ClusterAdmin(admin.ModelAdmin):
    form = ClusterForm
    list_display = ("name", "url", "status_badge", "engine_version", "api_version", "swarm_manager", "synced_at")
    list_filter = ("status", "swarm_manager")
    search_fields = ("name", "url", "hostname", "uid")
    readonly_fields = (
        *("uid", "status", "status_reason", "status_changed_at", "synced_at", "created_at"),
        *("engine_id", "engine_version", "api_version", "hostname", "operating_system", "architecture"),
        *("cpus", "memory_bytes", "swarm_manager", "swarm_notice"),
    )
    fieldsets = (
        (None, {"fields": ("name", "url", "other_urls", "tls_ca", "tls_cert", "tls_key")}),
        ("As last seen", {"fields": readonly_fields}),
    )

    def get_deleted_objects(
        self, objs: Sequence[Cluster] | QuerySet[Cluster], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """What was observed on a cluster goes with it, though nobody may delete it by itself."""
        deleted, counts, _, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, set(), protected

    @admin.display(description="Status", ordering="status")
    def status_badge(self, cluster: Cluster) -> SafeString:
        return render_badge(cluster.status)


@admin.register(Application)
class ApplicationAdmin(ReadOnlyAdmin):
    """Its action `redeploy` is added by triggers.admin, which knows calls."""

    list_display = ("name", "cluster", "source", "status_badge", "counts", "protected", "system", "updated_at")
    list_filter = ("cluster", "status", "source", "protected", "system")
    list_select_related = ("cluster",)
    search_fields = ("name",)

    @admin.display(description="Status", ordering="status")
    def status_badge(self, application: Application) -> SafeString:
        return render_badge(application.status)

    @admin.display(description="Running")
    def counts(self, application: Application) -> str:
        return f"{application.running} of {application.wanted}"


@admin.register(Service)
class ServiceAdmin(ReadOnlyAdmin):
    list_display = ("name", "application", "status_badge", "mode", "counts", "image", "health_badge")
    list_filter = ("application__cluster", "status", "mode", "health")
    list_select_related = ("application",)
    search_fields = ("name", "application__name", "image")

    @admin.display(description="Status", ordering="status")
    def status_badge(self, service: Service) -> SafeString:
        return render_badge(service.status)

    @admin.display(description="Health", ordering="health")
    def health_badge(self, service: Service) -> SafeString | str:
        return render_badge(service.health) if service.health else ""

    @admin.display(description="Running")
    def counts(self, service: Service) -> str:
        return f"{service.running} of {service.replicas}"


@admin.register(Container)
class ContainerAdmin(ReadOnlyAdmin):
    list_display = ("name", "application", "service", "state_badge", "status_text", "image", "created_at")
    list_filter = ("service__application__cluster", "state", "health")
    list_select_related = ("service__application",)
    search_fields = ("name", "container_id", "image", "service__name", "service__application__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Container]:
        return super().get_queryset(request).select_related("service__application")

    @admin.display(description="Application", ordering="service__application__name")
    def application(self, container: Container) -> str:
        return container.service.application.name

    @admin.display(description="State", ordering="state")
    def state_badge(self, container: Container) -> SafeString:
        return render_badge(container.state)


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    list_display = ("name", "application", "node_name", "state_badge", "desired_state", "error", "image", "created_at")
    list_filter = ("service__application__cluster", "state", "desired_state")
    list_select_related = ("service__application",)
    search_fields = ("task_id", "node_name", "container_id", "service__name", "service__application__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        return super().get_queryset(request).select_related("service__application")

    @admin.display(description="Application", ordering="service__application__name")
    def application(self, task: Task) -> str:
        return task.service.application.name

    @admin.display(description="State", ordering="state")
    def state_badge(self, task: Task) -> SafeString:
        return render_badge(task.state, "task")


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    list_display = (
        *("hostname", "cluster", "state_badge", "role", "leader", "availability", "address"),
        *("engine_version", "task_count"),
    )
    list_filter = ("cluster", "state", "role", "availability")
    list_select_related = ("cluster",)
    search_fields = ("hostname", "node_id", "address")

    @admin.display(description="State", ordering="state")
    def state_badge(self, node: Node) -> SafeString:
        return render_badge(node.state, "node")
