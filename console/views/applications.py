"""Applications: the list, one application with its triggers, and its redeploy."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from clusters.models import Application, Container, Task
from console.configuration import describe_configuration
from console.log_panel import describe_logs
from console.pages import (
    console_page,
    get_visible,
    is_partial,
    list_visible,
    paginate,
    read_query,
    read_tab,
    render_dialog,
    require,
)
from console.selection import select_cluster
from console.slots import SlotList
from console.snippets import describe_triggers, forget_shown_trigger
from console.views.calls import start_call
from triggers.models import Action
from triggers.selectors import calls_with_relations, triggers_with_last_call

ONLINE = (Application.Status.RUNNING, Application.Status.DEGRADED)
TABS = ("services", "containers", "logs", "activity", "configuration")
SWARM_TABS = ("services", "tasks", "logs", "activity", "configuration")
SORTS = {"name": "name", "created": "created_at", "updated": "updated_at"}
CALLS_SHOWN = 25


@dataclass(frozen=True)
class ApplicationFilters:
    """As the address has them. Before the form was used once, system applications are hidden."""

    query: str
    hide_system: bool
    hide_offline: bool
    hide_online: bool
    sort: str

    @classmethod
    def from_request(cls, request: HttpRequest) -> "ApplicationFilters":
        used = "filtered" in request.GET
        sort = request.GET.get("sort", "name")
        return cls(
            query=read_query(request, "q"),
            hide_system="hide_system" in request.GET or not used,
            hide_offline="hide_offline" in request.GET,
            hide_online="hide_online" in request.GET,
            sort=sort if sort.removeprefix("-") in SORTS else "name",
        )

    @property
    def is_narrow(self) -> bool:
        return bool(self.query or self.hide_offline or self.hide_online)

    def apply(self, rows: QuerySet[Application]) -> QuerySet[Application]:
        if self.query:
            rows = rows.filter(Q(name__icontains=self.query) | Q(services__image__icontains=self.query)).distinct()
        if self.hide_system:
            rows = rows.filter(system=False)
        if self.hide_offline:
            rows = rows.filter(status__in=ONLINE)
        if self.hide_online:
            rows = rows.exclude(status__in=ONLINE)
        field = SORTS[self.sort.removeprefix("-")]
        return rows.order_by(f"-{field}" if self.sort.startswith("-") else field, "pk")


@require_safe
@console_page
def applications(request: HttpRequest) -> HttpResponse:
    filters = ApplicationFilters.from_request(request)
    rows = filters.apply(_with_cluster(list_visible(request, Application.objects.all())))
    context = {
        "title": "Applications",
        "cluster_filter": True,
        "selection": select_cluster(request),
        "filters": filters,
        "page": paginate(request, rows.prefetch_related("services")),
    }
    template = "console/_applications.html" if is_partial(request, "list") else "console/applications.html"
    return render(request, template, context)


@require_safe
@console_page
def application(request: HttpRequest, application_id: int) -> HttpResponse:
    """`?tab=` chooses the tab; `?trigger=<id>` opens the ways to call that trigger, masked unless just asked for."""
    shown = _get_application(request, application_id)
    context = {
        "title": shown.name,
        "crumbs": [("Applications", reverse("applications"))],
        "application": shown,
        "cluster": shown.cluster,
        "tab": read_tab(request, SWARM_TABS if shown.is_swarm else TABS),
        "services": shown.services.all(),
    }
    if context["tab"] == "containers":
        page = paginate(request, Container.objects.filter(service__application=shown).select_related("service"))
        context |= {"page": page, "containers": page.object_list}
    if context["tab"] == "tasks":
        tasks = Task.objects.filter(service__application=shown).order_by("service__name", "slot", "node_name")
        context["page"] = paginate(request, SlotList(tasks))
    if context["tab"] == "logs":
        context |= describe_logs(request, shown)
    if context["tab"] == "configuration":
        context |= describe_configuration(request, shown)
    if context["tab"] == "activity":
        context["calls"] = calls_with_relations().filter(application=shown)[:CALLS_SHOWN]
    if is_partial(request, "state"):
        return render(request, "console/_application_state.html", context)
    triggers = triggers_with_last_call().filter(application=shown)
    context["triggers"] = describe_triggers(request, triggers, forget_shown_trigger(request))
    return render(request, "console/application.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def application_redeploy(request: HttpRequest, application_id: int) -> HttpResponse:
    shown = _get_application(request, application_id)
    require(request, "triggers.add_triggercall", shown)
    if request.method == "POST":
        return start_call(request, shown, action=Action.REDEPLOY)
    context = {"title": f"Redeploy {shown.name}", "application": shown, "crumbs": [("Applications", reverse("applications"))]}
    return render_dialog(request, "console/_application_redeploy.html", context)


def _with_cluster(rows: QuerySet[Application]) -> QuerySet[Application]:
    return rows.select_related("cluster").defer("cluster__tls_ca", "cluster__tls_cert", "cluster__tls_key")


def _get_application(request: HttpRequest, application_id: int) -> Application:
    return get_visible(request, _with_cluster(Application.objects.prefetch_related("services")), pk=application_id)
