"""Applications: the list, one application with its triggers, and redeploying it."""

from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from clusters.models import Application, Container, Service, Task
from clusters.selectors import without_keys
from console.pages.applications.application_filters import ApplicationFilters
from console.pages.shared.configuration.configuration import describe_configuration
from console.pages.shared.image_history.described import describe_history
from console.pages.shared.logs.log_panel import describe_logs
from console.pages.shared.natural_order import NaturalOrder
from console.pages.shared.page import (
    console_page,
    get_visible,
    is_partial,
    list_visible,
    paginate,
    read_tab,
    render_dialog,
    render_page,
    require,
)
from console.pages.shared.selection import select_cluster
from console.pages.shared.slots import SlotList
from console.pages.shared.starting import start_and_show_call
from console.pages.shared.trigger_panel.image_updates import add_image_updates
from console.pages.shared.trigger_panel.refused_calls import add_refused_calls, with_newest_refusal
from console.pages.shared.trigger_panel.snippets import describe_triggers, forget_shown_trigger
from console.pages.shared.trigger_panel.sparklines import add_sparklines
from triggers.forms import RedeployForm
from triggers.freeze_forms import read_override
from triggers.freezes import find_present_freeze
from triggers.models import Action
from triggers.selectors import calls_with_relations, has_redeploys, only_active, triggers_with_last_call

TABS = ("services", "containers", "logs", "activity", "images", "configuration")
SWARM_TABS = ("services", "tasks", "logs", "activity", "images", "configuration")
ENGINE_TABS = ("logs", "configuration")  # these read from the engine, so they need the cluster's keys
CALLS_SHOWN = 25
RUNNING_SHOWN = 3
TRIGGERS_SHOWN, TRIGGERS_UNFOLDED = (
    3,
    4,
)  # of more triggers than the latter, only the first are shown until the rest is unfolded


@require_safe
@console_page
def applications(request: HttpRequest) -> HttpResponse:
    filters = ApplicationFilters.from_request(request)
    seen = list_visible(request, Application.objects.all())
    counts = filters.count(seen)
    rows = filters.apply(without_keys(seen)).prefetch_related("services")
    context = {
        "title": "Applications",
        "cluster_filter": True,
        "selection": select_cluster(request),
        "filters": filters,
        "sorting": filters.sorting,
        "counts": counts,
        "page": paginate(request, rows, count=counts.shown),
    }
    return render_page(request, "console/applications/applications.html", context)


@require_safe
@console_page
def application(request: HttpRequest, application_id: int) -> HttpResponse:
    """Show an application. `?tab=` selects a tab; `?trigger=<id>` opens that trigger, masked unless just revealed."""
    tab = request.GET.get("tab")
    rows: QuerySet[Any] = Application.objects.annotate(service_count=_count_parts(Service.objects.all(), "application"))
    rows = rows.annotate(has_redeploys=has_redeploys("pk"))
    if tab == "containers":
        rows = rows.annotate(container_count=_count_parts(Container.objects.all(), "service__application"))
    rows = rows.select_related("cluster") if tab in ENGINE_TABS else without_keys(rows)
    shown = get_visible(request, rows, pk=application_id)
    context = {
        "title": shown.name,
        "crumbs": [("Applications", reverse("applications"))],
        "application": shown,
        "cluster": shown.cluster,
    }
    if is_partial(request, "about"):
        return render(request, "console/applications/_application_about.html", context | _describe_about(request, shown))
    context |= _describe_application_tab(request, shown)
    if is_partial(request, "state"):
        return render(request, "console/applications/_application_state.html", context)
    context |= _describe_about(request, shown, forget_shown_trigger(request))
    return render(request, "console/applications/application.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def application_redeploy(request: HttpRequest, application_id: int) -> HttpResponse:
    shown = get_visible(request, without_keys(Application.objects.prefetch_related("services")), pk=application_id)
    require(request, "triggers.add_triggercall", shown)
    service = _find_service(request, shown)
    form = RedeployForm(shown, request.POST if request.method == "POST" else None, service=service)
    if request.method == "POST" and form.is_valid():
        wanted = {
            "tag": form.cleaned_data.get("tag", ""),
            "start_stopped": form.cleaned_data.get("start_stopped", False),
            "override_reason": read_override(request.POST),
        }
        return start_and_show_call(request, shown, service, action=Action.REDEPLOY, **wanted)
    context = {
        "title": f"Redeploy {service or shown}",
        "application": shown,
        "service": service,
        "wanted": service.replicas if service else shown.wanted,
        "form": form,
        "freeze": find_present_freeze(shown, Action.REDEPLOY),
        "crumbs": [("Applications", reverse("applications"))],
    }
    return render_dialog(request, "console/applications/_application_redeploy.html", context)


def _find_service(request: HttpRequest, shown: Application) -> Service | None:
    """Return the service that `?service=<id>` narrows a redeploy to. Raises Http404 if the application has no such one."""
    known = request.GET.get("service", "")
    if not known:
        return None
    found = next((service for service in shown.services.all() if str(service.pk) == known), None)
    if found is None:
        raise Http404
    return found


def _describe_application_tab(request: HttpRequest, shown: Application) -> dict[str, Any]:
    tab = read_tab(request, SWARM_TABS if shown.is_swarm else TABS)
    context: dict[str, Any] = {"tab": tab, "services": shown.services.order_by(NaturalOrder("name"))}
    if tab == "containers":
        containers = Container.objects.filter(service__application=shown).select_related("service")
        containers = containers.order_by(NaturalOrder("name"), "pk")
        page = paginate(request, containers, count=shown.container_count)  # type: ignore[attr-defined]
        context |= {"page": page, "containers": page.object_list}
    elif tab == "tasks":
        tasks = Task.objects.filter(service__application=shown).order_by(
            NaturalOrder("service__name"), "slot", NaturalOrder("node_name"), "-created_at"
        )
        context["page"] = paginate(request, SlotList(tasks))
    elif tab == "logs":
        context |= describe_logs(request, shown)
    elif tab == "configuration":
        context |= describe_configuration(request, shown)
    elif tab == "images":
        context |= describe_history(shown, list(context["services"]))
    elif tab == "activity":
        context["calls"] = calls_with_relations().filter(application=shown)[:CALLS_SHOWN]
    return context


def _describe_about(request: HttpRequest, shown: Application, just_made: int | None = None) -> dict[str, Any]:
    """Return the context of the upper half of the page. `just_made` is the id of a new trigger, whose secret is shown once."""
    now = timezone.now()
    rows = with_newest_refusal(triggers_with_last_call().filter(application=shown), now)
    triggers = add_refused_calls(request, add_sparklines(rows, now))
    return {
        "triggers": describe_triggers(request, add_image_updates(request, triggers), just_made),
        "unfolded": TRIGGERS_SHOWN if len(triggers) > TRIGGERS_UNFOLDED else 0,
        "running": only_active(calls_with_relations().filter(application=shown))[:RUNNING_SHOWN],
    }


def _count_parts(rows: QuerySet[Service] | QuerySet[Container], path: str) -> Coalesce:
    """Count rows in a subquery of the application's query. `path` leads from a row to its application."""
    counts = rows.filter(**{path: OuterRef("pk")}).order_by().values(path).annotate(number=Count("pk"))
    return Coalesce(Subquery(counts.values("number")), 0)
