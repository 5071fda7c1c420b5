"""The admin of clusters, registries, users and roles. What was observed on engines can only be read here."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from clusters.access import may_allow_credentials, may_choose_engines, scope, view_permission
from clusters.access.admin_access import AuditedAdmin, ClusterFilter, ReadOnlyAdmin, ScopedAdmin
from clusters.access.administrators import LockedOut, keep_administrators, may_manage
from clusters.badges import render_badge
from clusters.forms import ClusterForm
from clusters.models import Application, AuditEntry, Cluster, ClusterGrant, Container, Node, Registry, Service, Task
from clusters.registry_form import RegistryForm


class UserFormAdmin(admin.ModelAdmin):
    """An admin whose form depends on the user who fills it in."""

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)  # a class of this request's own
        form.user = request.user
        return form


@admin.register(Cluster)
class ClusterAdmin(UserFormAdmin, AuditedAdmin, ScopedAdmin):
    audited = "cluster"
    form = ClusterForm
    list_display = ("name", "url", "status_badge", "engine_version", "api_version", "swarm_manager", "synced_at")
    list_filter = ("status", "swarm_manager")
    search_fields = ("name", "url", "hostname", "uid")
    readonly_fields = (
        "uid",
        "status",
        "status_reason",
        "status_changed_at",
        "synced_at",
        "created_at",
        "engine_id",
        "engine_name",
        "engine_version",
        "api_version",
        "hostname",
        "operating_system",
        "architecture",
        "cpus",
        "memory_bytes",
        "swarm_manager",
        "swarm_notice",
    )

    def get_fieldsets(self, request: HttpRequest, obj: Cluster | None = None) -> Any:
        """Omit the certificates for users who may not change them: what cannot be edited is shown in full, even the key."""
        fields: tuple[str, ...] = ("name", "url", "other_urls")
        may_edit = obj is None or self.has_change_permission(request, obj)
        if may_edit and may_choose_engines(request.user):
            fields = ("name", *Cluster.CONNECTION, *(("registries",) if may_allow_credentials(request.user) else ()))
        return ((None, {"fields": fields}), ("Last seen", {"fields": self.readonly_fields}))

    def get_deleted_objects(
        self, objs: Sequence[Cluster] | QuerySet[Cluster], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Let a cluster be deleted with what was observed on it, which nobody may delete on its own."""
        deleted, counts, _, protected = super().get_deleted_objects(objs, request)
        refused = {str(self.opts.verbose_name) for cluster in objs if not self.has_delete_permission(request, cluster)}
        return deleted, counts, refused, protected

    @admin.display(description="Status", ordering="status")
    def status_badge(self, cluster: Cluster) -> SafeString:
        return render_badge(cluster.status)


@admin.register(Application)
class ApplicationAdmin(ReadOnlyAdmin):
    """The admin of applications. triggers.admin adds the action `redeploy`, because it knows calls."""

    list_display = ("name", "cluster", "source", "status_badge", "counts", "protected", "system", "updated_at")
    list_filter = (("cluster", ClusterFilter), "status", "source", "protected", "system")
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
    list_filter = (("application__cluster", ClusterFilter), "status", "mode", "health")
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
    list_filter = (("service__application__cluster", ClusterFilter), "state", "health")
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
    list_filter = (("service__application__cluster", ClusterFilter), "state", "desired_state")
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
        "hostname",
        "cluster",
        "state_badge",
        "role",
        "leader",
        "availability",
        "address",
        "engine_version",
        "task_count",
    )
    list_filter = (("cluster", ClusterFilter), "state", "role", "availability")
    list_select_related = ("cluster",)
    search_fields = ("hostname", "node_id", "address")

    @admin.display(description="State", ordering="state")
    def state_badge(self, node: Node) -> SafeString:
        return render_badge(node.state, "node")


@admin.register(Registry)
class RegistryAdmin(UserFormAdmin, AuditedAdmin, ScopedAdmin):
    """The admin of registries. It never shows secrets; the inbound link is in the console's pages."""

    audited = "registry"
    form = RegistryForm
    list_display = ("host", "kind", "username", "check_badge", "checked_at", "pull_remaining", "pull_limit")
    list_filter = ("kind",)
    search_fields = ("host", "aliases", "username")
    readonly_fields = ("created_at", "checked_at", "problem", "pull_limit", "pull_remaining", "pull_window_seconds")
    settings = (
        *("kind", "host", "aliases", "username", "credential_helper", "password_expires_at"),
        *("plain_http", "clear_text", "clusters"),
    )
    secrets = ("password", "remove_password", "ca", "signing_secret", "remove_signing_secret")

    def get_fieldsets(self, request: HttpRequest, obj: Registry | None = None) -> Any:
        """Omit the secrets for users who may only view: fields that cannot be edited are shown in full."""
        may_edit = obj is None or self.has_change_permission(request, obj)
        absent = {f"remove_{name}" for name in ("password", "signing_secret") if not getattr(obj, name, "")}
        shows_clusters = may_edit or request.user.has_perm(view_permission(Cluster))
        settings = [name for name in self.settings if shows_clusters or name != "clusters"]
        fields = (*settings, *(name for name in self.secrets if may_edit and name not in absent))
        return ((None, {"fields": fields}), ("Last seen", {"fields": self.readonly_fields}))

    @admin.display(description="Last test", ordering="checked_at")
    def check_badge(self, registry: Registry) -> SafeString:
        return render_badge("problem" if registry.problem else "ok" if registry.checked_at else "unknown", "registry")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log. Nobody may change it, not even superusers."""

    list_display = ("time", "actor", "action", "count", "target", "cluster", "address")
    list_filter = ("action", ("cluster", ClusterFilter))
    list_select_related = ("cluster",)
    search_fields = ("=actor",)
    show_full_result_count = False


@admin.register(ClusterGrant)
class ClusterGrantAdmin(AuditedAdmin, ScopedAdmin):
    """The admin of roles on single clusters, for users and for groups."""

    audited = "grant"
    list_display = ("cluster", "role", "user", "group")
    list_filter = (("cluster", ClusterFilter), "role")
    list_select_related = ("cluster", "user", "group")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "cluster":
            kwargs["queryset"] = scope(Cluster.objects.all(), request.user, "clusters.view_cluster")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class LockOutGuard(admin.ModelAdmin):
    """Prevents people from removing the last administrator, or their own Administrator role."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._guard(request, lambda: super(LockOutGuard, self).changeform_view(request, *args, **kwargs))

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._guard(request, lambda: super(LockOutGuard, self).delete_view(request, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._guard(request, lambda: super(LockOutGuard, self).changelist_view(request, *args, **kwargs))

    def _guard(self, request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
        if request.method != "POST":
            return view()
        try:
            with keep_administrators(request.user):
                return view()
        except LockedOut as error:
            list(messages.get_messages(request))  # discards the message of success
            self.message_user(request, f"{error} Nothing was changed.", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class AuditedUserAdmin(LockOutGuard, AuditedAdmin, UserAdmin):
    audited = "user"
    readonly_fields = ("last_login", "date_joined")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow only superusers to change superusers."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (not isinstance(obj, User) or may_manage(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (not isinstance(obj, User) or may_manage(request.user, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Let only superusers make superusers and give single permissions beyond the roles."""
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, "is_superuser", "user_permissions")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the users alone: among what is deleted with them are tokens and second factors, and their names tell secrets."""
        _, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return [str(user) for user in objs], counts, lacking, protected


@admin.register(Group)
class AuditedGroupAdmin(LockOutGuard, AuditedAdmin, GroupAdmin):
    audited = "group"

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Let only superusers give a group single permissions: an administrator would give them to themselves."""
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, "permissions")
