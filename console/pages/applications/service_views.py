"""Services: the list, one service, and scaling it."""

from typing import Any

from django.db.models import Exists, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters.models import Application, Service
from clusters.selectors import without_keys
from console.pages.shared.configuration.configuration import (
    PERMISSION,
    describe_configuration,
    describe_section,
    record_reveal,
    remember_revealed,
)
from console.pages.shared.image_history.described import describe_history
from console.pages.shared.logs.log_panel import describe_logs
from console.pages.shared.natural_order import NaturalOrder
from console.pages.shared.page import (
    console_page,
    get_visible,
    is_partial,
    list_visible,
    paginate,
    read_query,
    read_tab,
    redirect_to,
    render_dialog,
    render_page,
    require,
)
from console.pages.shared.selection import select_cluster
from console.pages.shared.slots import SlotList
from console.pages.shared.sorting import Columns, Sorting, by_severity
from console.pages.shared.starting import start_and_show_call
from triggers.forms import ScaleForm
from triggers.freeze_forms import read_override
from triggers.freezes import find_present_freeze
from triggers.models import Action
from triggers.selectors import has_redeploys, list_calls_about
from triggers.validation import explain_service_refusal

TABS = ("containers", "logs", "configuration", "images", "activity")
SWARM_TABS = ("tasks", "logs", "configuration", "images", "activity")
CALLS_SHOWN = 25
COLUMNS: Columns = {"application": NaturalOrder("application__name"), "name": NaturalOrder("name"), "status": by_severity()}


@require_safe
@console_page
def services(request: HttpRequest) -> HttpResponse:
    query = read_query(request, "q")
    sorting = Sorting.from_request(request, COLUMNS)
    rows = without_keys(list_visible(request, Service.objects.all()), "application__cluster")
    rows = rows.exclude(application__status=Application.Status.ABSENT)
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(application__name__icontains=query) | Q(image__icontains=query))
    context = {
        "title": "Services",
        "cluster_filter": True,
        "selection": select_cluster(request),
        "query": query,
        "sorting": sorting,
        "page": paginate(request, sorting.apply(rows)),
    }
    return render_page(request, "console/applications/services.html", context)


@require_safe
@console_page
def service(request: HttpRequest, service_id: int) -> HttpResponse:
    shown = _get_service(request, service_id, has_redeploys=has_redeploys("application_id"))
    context = _service_context(shown) | {"title": shown.name}
    if is_partial(request, "about"):
        return render(request, "console/applications/_service_about.html", context | _describe_service(shown))
    context |= _describe_service_tab(request, shown)
    if is_partial(request, "state"):
        return render(request, "console/applications/_service_state.html", context)
    return render(request, "console/applications/service.html", context | _describe_service(shown))


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def service_scale(request: HttpRequest, service_id: int) -> HttpResponse:
    """GET shows the form, and with values in the address their effect; POST starts the call.

    A service that cannot be scaled shows the reason instead of the form.
    """
    shown = _get_service(request, service_id)
    require(request, "triggers.add_triggercall", shown)
    refusal = explain_service_refusal(shown)
    form = ScaleForm(shown, request.POST if request.method == "POST" else request.GET or None)
    if request.method == "POST" and not refusal and form.is_valid():
        wanted = {**form.call_parameters(), "override_reason": read_override(request.POST)}
        return start_and_show_call(request, shown.application, shown, action=Action.SCALING, **wanted)
    context = _service_context(shown) | {"title": f"Scale {shown.name}", "form": form, "refusal": refusal}
    if is_partial(request, "scale-effect"):
        return render(request, "console/applications/_scale_effect.html", context)
    context["freeze"] = find_present_freeze(shown.application, Action.SCALING)
    return render_dialog(request, "console/applications/_service_scale.html", context)


@require_POST
@console_page
def service_reveal(request: HttpRequest, service_id: int) -> HttpResponse:
    """Replace the masked settings by revealed ones. Without scripts, the service's next page shows them once."""
    shown = get_visible(request, Service.objects.select_related("application__cluster"), pk=service_id)
    require(request, PERMISSION, shown)
    record_reveal(request, shown)
    if not is_partial(request, f"settings-{shown.pk}"):
        remember_revealed(request, shown)
        return redirect_to(request, "service", shown.pk, query="?tab=configuration")
    context = _service_context(shown) | describe_section(shown, revealed=True)
    context["show_service"] = request.GET.get("of") == "application"
    return render(request, "console/shared/configuration/_configuration_section.html", context)


def _service_context(shown: Service) -> dict[str, object]:
    application = shown.application
    return {
        "service": shown,
        "application": application,
        "cluster": application.cluster,
        "crumbs": [
            ("Applications", reverse("applications")),
            (application.name, reverse("application", args=[application.pk])),
        ],
    }


def _describe_service(shown: Service) -> dict[str, Any]:
    """Return the context of the upper half of the page.

    `fewer` and `more` are the counts that one click sets; `fewer` is None at the minimum.
    """
    least = 0 if shown.application.is_swarm else 1
    return {
        "policies": _list_policies(shown),
        "trigger_count": shown.triggers.count(),
        "scalable": shown.can_be_scaled,
        "fewer": shown.replicas - 1 if shown.replicas > least else None,
        "more": shown.replicas + 1,
    }


def _describe_service_tab(request: HttpRequest, shown: Service) -> dict[str, Any]:
    tab = read_tab(request, SWARM_TABS if shown.application.is_swarm else TABS)
    context: dict[str, Any] = {"tab": tab}
    if tab == "containers":
        page = paginate(request, shown.containers.order_by(NaturalOrder("name"), "pk"))
        context |= {"page": page, "containers": page.object_list}
    elif tab == "tasks":
        context["page"] = paginate(request, SlotList(shown.tasks.order_by("slot", NaturalOrder("node_name"), "-created_at")))
    elif tab == "logs":
        context |= describe_logs(request, shown)
    elif tab == "configuration":
        context |= describe_configuration(request, shown)
    elif tab == "images":
        context |= describe_history(shown.application, [shown])
    else:
        context["calls"] = list_calls_about(shown, CALLS_SHOWN)
    return context


def _list_policies(shown: Service) -> list[tuple[str, dict[str, Any]]]:
    """List the update and rollback policies of a Swarm service; jobs and containers have none."""
    policies = [("Update", shown.update_config), ("Rollback", shown.rollback_config)]
    return [] if shown.is_job else [(label, policy) for label, policy in policies if policy]


def _get_service(request: HttpRequest, service_id: int, **annotations: Exists) -> Service:
    rows = Service.objects.annotate(**annotations)
    return get_visible(request, without_keys(rows, "application__cluster"), pk=service_id)
