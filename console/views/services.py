"""Services: the list, one service with its containers, and scaling it."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from clusters.models import Application, Service
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
from console.views.calls import start_call
from triggers.forms import ScaleForm
from triggers.models import Action
from triggers.selectors import list_calls_about
from triggers.validation import explain_service_refusal

TABS = ("containers", "logs", "configuration", "activity")
SWARM_TABS = ("tasks", "logs", "configuration", "activity")
CALLS_SHOWN = 25


@require_safe
@console_page
def services(request: HttpRequest) -> HttpResponse:
    query = read_query(request, "q")
    rows = _with_application(list_visible(request, Service.objects.all()))
    rows = rows.exclude(application__status=Application.Status.ABSENT)
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(application__name__icontains=query) | Q(image__icontains=query))
    context = {
        "title": "Services",
        "cluster_filter": True,
        "selection": select_cluster(request),
        "query": query,
        "page": paginate(request, rows.order_by("application__name", "name", "pk")),
    }
    return render(request, "console/_services.html" if is_partial(request, "list") else "console/services.html", context)


@require_safe
@console_page
def service(request: HttpRequest, service_id: int) -> HttpResponse:
    shown = _get_service(request, service_id)
    tab = read_tab(request, SWARM_TABS if shown.application.is_swarm else TABS)
    context = _page_context(shown) | {"title": shown.name, "tab": tab, "policies": _list_policies(shown)}
    if tab == "containers":
        page = paginate(request, shown.containers.all())
        context |= {"page": page, "containers": page.object_list}
    elif tab == "tasks":
        context["page"] = paginate(request, SlotList(shown.tasks.all()))
    elif tab == "logs":
        context |= describe_logs(request, shown)
    elif tab == "configuration":
        context |= describe_configuration(request, shown)
    else:
        context["calls"] = list_calls_about(shown, CALLS_SHOWN)
    return render(request, "console/_service_state.html" if is_partial(request, "state") else "console/service.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def service_scale(request: HttpRequest, service_id: int) -> HttpResponse:
    """GET shows the form, and with values in the address what they would do; POST asks for it.

    What cannot be scaled gets the reason in the form's place."""
    shown = _get_service(request, service_id)
    require(request, "triggers.add_triggercall", shown)
    refusal = explain_service_refusal(shown)
    form = ScaleForm(shown, request.POST if request.method == "POST" else request.GET or None)
    if request.method == "POST" and not refusal and form.is_valid():
        return start_call(request, shown.application, shown, action=Action.SCALING, **form.call_parameters())
    context = _page_context(shown) | {"title": f"Scale {shown.name}", "form": form, "refusal": refusal}
    if is_partial(request, "scale-effect"):
        return render(request, "console/_scale_effect.html", context)
    return render_dialog(request, "console/_service_scale.html", context)


def _page_context(shown: Service) -> dict[str, object]:
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


def _list_policies(shown: Service) -> list[tuple[str, dict[str, Any]]]:
    """What Swarm does in an update and in a rollback of the service; nothing for jobs and containers, which have neither."""
    policies = [("Update", shown.update_config), ("Rollback", shown.rollback_config)]
    return [] if shown.is_job else [(label, policy) for label, policy in policies if policy]


def _with_application(rows: QuerySet[Service]) -> QuerySet[Service]:
    return rows.select_related("application", "application__cluster").defer(
        "application__cluster__tls_ca", "application__cluster__tls_cert", "application__cluster__tls_key"
    )


def _get_service(request: HttpRequest, service_id: int) -> Service:
    return get_visible(request, _with_application(Service.objects.all()), pk=service_id)
