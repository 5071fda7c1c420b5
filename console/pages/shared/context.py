"""The context of every page's frame: navigation, theme, selected cluster and running calls."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from clusters.access import has_no_role, scope_visible
from console.pages.shared.help_links import find_help
from console.pages.shared.selection import select_cluster
from triggers.models import TriggerCall
from triggers.selectors import only_active

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "windlass_theme"

PREVIOUS_PAGES = ("application_previous", "service_previous", "call_previous")
PROOF_PAGES = ("trigger_signature", "trusted_job_create", "trusted_job_edit", "trusted_job_delete")
# Label, icon and URL name of each entry, and the URL names of the pages below it.
NAVIGATION: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("Overview", "overview", "overview", ()),
    (
        "Applications",
        "applications",
        "applications",
        (
            *(
                "application",
                "application_redeploy",
                *PREVIOUS_PAGES,
                "versions",
                "trigger_create",
                "container",
                "container_use",
            ),
            *("application_freezes", "application_freeze_create", "freeze_edit", "freeze_delete"),
        ),
    ),
    ("Services", "services", "services", ("service", "service_scale")),
    (
        "Clusters",
        "clusters",
        "clusters",
        (
            "cluster",
            "cluster_create",
            "cluster_edit",
            "cluster_delete",
            "cluster_test",
            "cluster_engine",
            "cluster_disk",
            "cluster_events",
            "cluster_freezes",
            "cluster_freeze_create",
        ),
    ),
    ("Nodes", "nodes", "nodes", ("node",)),
    ("Images", "images", "images", ("image_remove", "image_prune")),
    (
        "Registries",
        "registries",
        "registries",
        ("registry", "registry_create", "registry_edit", "registry_test", "registry_rotate", "registry_delete"),
    ),
    (
        "Triggers",
        "triggers",
        "triggers",
        ("trigger", "trigger_call", "trigger_edit", "trigger_narrow", "trigger_rotate", "trigger_delete", *PROOF_PAGES),
    ),
    ("Activity", "activity", "activity", ("call", "call_release")),
    ("Deliveries", "deliveries", "deliveries", ("delivery",)),
    (
        "Notifications",
        "notifications",
        "notifications",
        (
            *("channel", "channel_create", "channel_edit", "channel_rules", "channel_key", "channel_delete"),
            *("notifications_sent", "notification_sent"),
        ),
    ),
    (
        "Users",
        "users",
        "users",
        (
            *("user", "user_create", "user_role", "user_password", "user_switch", "user_invite", "grant_create"),
            *("sign_in_settings", "provider_create", "provider_edit", "provider_delete", "mapping_create"),
            "provider_callback",  # the page Test
        ),
    ),
    ("Audit log", "audit", "audit", ()),
)
# Entries whose pages show the selected cluster alone. Their addresses name the cluster, so that they can be shared.
CLUSTER_PAGES = {"overview", "applications", "services", "nodes", "images", "triggers", "activity"}
# Entries that need a permission for all clusters.
RESTRICTED = {
    "registries": "clusters.view_registry",
    "deliveries": "triggers.view_delivery",
    "notifications": "triggers.view_notificationchannel",
    "users": "auth.view_user",
    "audit": "clusters.view_auditentry",
}


def read_theme(request: HttpRequest) -> str:
    """Return the remembered theme; `auto` follows the system."""
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    return theme if theme in THEMES else "auto"


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Context processor: return what the frame shows. A piece of a page has no frame, so it costs no query."""
    context: dict[str, Any] = {"theme": read_theme(request)}
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or getattr(request, "htmx", False):
        return context
    return context | {
        "error_frame": "base.html",
        "selection": select_cluster(request),
        "has_no_role": has_no_role(user),
        "active_calls": count_active_calls(user),
        "navigation_items": list_navigation_items(request),
        "help_place": find_help(_read_url_name(request)),
    }


def count_active_calls(user: Any) -> int:
    return scope_visible(only_active(TriggerCall.objects.all()), user).count()


def _read_url_name(request: HttpRequest) -> str:
    """Return the URL name of a page of the console; empty for the admin's and the API's."""
    match = request.resolver_match
    return (match.url_name or "") if match and not match.namespaces else ""


def list_navigation_items(request: HttpRequest) -> list[dict[str, Any]]:
    match, name = request.resolver_match, _read_url_name(request)
    selected = select_cluster(request).selected
    query = f"?cluster={selected.uid}" if selected else ""
    items = [
        {
            "label": label,
            "icon": icon,
            "url": reverse(url_name) + (query if url_name in CLUSTER_PAGES else ""),
            "current": name == url_name or name in below,
        }
        for label, icon, url_name, below in NAVIGATION
        if url_name not in RESTRICTED or request.user.has_perm(RESTRICTED[url_name])
    ]
    if request.user.is_staff:
        current = bool(match and "admin" in match.namespaces)
        items.append({"label": "Administration", "icon": "administration", "url": reverse("admin:index"), "current": current})
    return items
