"""The table of contents. A view, its URL name and its template share one name."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from console.pages.applications import service_views as services
from console.pages.applications import views as applications
from console.pages.calls import lifecycle_views as acts
from console.pages.calls import views as calls
from console.pages.clusters import image_views as images
from console.pages.clusters import node_views as nodes
from console.pages.clusters import views as clusters
from console.pages.containers import views as containers
from console.pages.overview import search_views as search
from console.pages.overview import views as overview
from console.pages.registries import delivery_views as deliveries
from console.pages.registries import views as registries
from console.pages.shared.logs import views as logs
from console.pages.triggers import views as triggers
from console.pages.users import audit_views as audit
from console.pages.users import session_views as session
from console.pages.users import views as users
from console.telemetry import views as probes

register_converter(acts.ActConverter, "act")

admin.site.site_title = "Windlass"
admin.site.index_title = "Administration"
admin.site.enable_nav_sidebar = False  # the console's own navigation stands there

urlpatterns = [
    path("hook/", include("triggers.urls")),  # the first, since most is asked of it
    path("", overview.overview, name="overview"),
    path("search/", search.search, name="search"),
    path("applications/", applications.applications, name="applications"),
    path("applications/<int:application_id>/", applications.application, name="application"),
    path("applications/<int:application_id>/logs/", logs.application_logs, name="application_logs"),
    path("applications/<int:application_id>/logs/download/", logs.application_logs_download, name="application_logs_download"),
    path("applications/<int:application_id>/redeploy/", applications.application_redeploy, name="application_redeploy"),
    path("applications/<int:application_id>/<act:act>/", acts.application_act, name="application_act"),
    path("applications/<int:application_id>/triggers/new/", triggers.trigger_create, name="trigger_create"),
    path(
        "applications/<int:application_id>/triggers/repositories/", triggers.trigger_repositories, name="trigger_repositories"
    ),
    path("services/", services.services, name="services"),
    path("services/<int:service_id>/", services.service, name="service"),
    path("services/<int:service_id>/logs/", logs.service_logs, name="service_logs"),
    path("services/<int:service_id>/logs/download/", logs.service_logs_download, name="service_logs_download"),
    path("services/<int:service_id>/scale/", services.service_scale, name="service_scale"),
    path("services/<int:service_id>/reveal/", services.service_reveal, name="service_reveal"),
    path("containers/<int:container_id>/", containers.container, name="container"),
    path("containers/<int:container_id>/use/", containers.container_use, name="container_use"),
    path("containers/<int:container_id>/reveal/", containers.container_reveal, name="container_reveal"),
    path("containers/<int:container_id>/logs/", logs.container_logs, name="container_logs"),
    path("containers/<int:container_id>/logs/download/", logs.container_logs_download, name="container_logs_download"),
    path("containers/<int:container_id>/<act:act>/", acts.container_act, name="container_act"),
    path("clusters/", clusters.clusters, name="clusters"),
    path("clusters/new/", clusters.cluster_create, name="cluster_create"),
    path("clusters/test/", clusters.cluster_test, name="cluster_test"),
    path("clusters/local/", clusters.cluster_local, name="cluster_local"),
    path("clusters/<str:uid>/", clusters.cluster, name="cluster"),
    path("clusters/<str:uid>/engine/", clusters.cluster_engine, name="cluster_engine"),
    path("clusters/<str:uid>/disk/", clusters.cluster_disk, name="cluster_disk"),
    path("clusters/<str:uid>/events/", clusters.cluster_events, name="cluster_events"),
    path("clusters/<str:uid>/images/prune/", images.image_prune, name="image_prune"),
    path("clusters/<str:uid>/images/<str:image_id>/remove/", images.image_remove, name="image_remove"),
    path("clusters/<str:uid>/edit/", clusters.cluster_edit, name="cluster_edit"),
    path("clusters/<str:uid>/delete/", clusters.cluster_delete, name="cluster_delete"),
    path("images/", images.images, name="images"),
    path("registries/", registries.registries, name="registries"),
    path("registries/new/", registries.registry_create, name="registry_create"),
    path("registries/test/", registries.registry_test, name="registry_test"),
    path("registries/<int:registry_id>/", registries.registry, name="registry"),
    path("registries/<int:registry_id>/edit/", registries.registry_edit, name="registry_edit"),
    path("registries/<int:registry_id>/check/", registries.registry_check, name="registry_check"),
    path("registries/<int:registry_id>/reveal/", registries.registry_reveal, name="registry_reveal"),
    path("registries/<int:registry_id>/rotate/", registries.registry_rotate, name="registry_rotate"),
    path("registries/<int:registry_id>/delete/", registries.registry_delete, name="registry_delete"),
    path("deliveries/", deliveries.deliveries, name="deliveries"),
    path("deliveries/<uuid:delivery_id>/", deliveries.delivery, name="delivery"),
    path("deliveries/<uuid:delivery_id>/replay/", deliveries.delivery_replay, name="delivery_replay"),
    path("nodes/", nodes.nodes, name="nodes"),
    path("nodes/<int:node_id>/", nodes.node, name="node"),
    path("triggers/", triggers.triggers, name="triggers"),
    path("triggers/<int:trigger_id>/call/", triggers.trigger_call, name="trigger_call"),
    path("triggers/<int:trigger_id>/edit/", triggers.trigger_edit, name="trigger_edit"),
    path("triggers/<int:trigger_id>/reveal/", triggers.trigger_reveal, name="trigger_reveal"),
    path("triggers/<int:trigger_id>/rotate/", triggers.trigger_rotate, name="trigger_rotate"),
    path("triggers/<int:trigger_id>/switch/", triggers.trigger_switch, name="trigger_switch"),
    path("triggers/<int:trigger_id>/delete/", triggers.trigger_delete, name="trigger_delete"),
    path("activity/", calls.activity, name="activity"),
    path("activity/export/", calls.activity_export, name="activity_export"),
    path("calls/running/", calls.running_calls, name="running_calls"),
    path("calls/<uuid:call_id>/", calls.call, name="call"),
    path("calls/<uuid:call_id>/again/", calls.call_again, name="call_again"),
    path("calls/<uuid:call_id>/cancel/", calls.call_cancel, name="call_cancel"),
    path("users/", users.users, name="users"),
    path("users/new/", users.user_create, name="user_create"),
    path("users/<int:user_id>/", users.user, name="user"),
    path("users/<int:user_id>/role/", users.user_role, name="user_role"),
    path("users/<int:user_id>/switch/", users.user_switch, name="user_switch"),
    path("users/<int:user_id>/password/", users.user_password, name="user_password"),
    path("users/<int:user_id>/grants/", users.grant_create, name="grant_create"),
    path("grants/<int:grant_id>/delete/", users.grant_delete, name="grant_delete"),
    path("audit/", audit.audit, name="audit"),
    path("audit/export/", audit.audit_export, name="audit_export"),
    path("theme/", session.theme, name="theme"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("password/", session.password, name="password"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
    path("api/", include("console.api")),
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password")),
    path("admin/", admin.site.urls),
]
