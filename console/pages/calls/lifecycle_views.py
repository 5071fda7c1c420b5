"""Stop, start, restart and delete an application or one of its containers: a dialog says what will happen, and its form starts
the call."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.urls.converters import StringConverter
from django.views.decorators.http import require_http_methods

from clusters.engine.names import base_name
from clusters.models import Application, Container
from console.pages.calls.losses import describe_losses
from console.pages.shared.page import console_page, get_visible, render_dialog, require
from console.pages.shared.starting import start_and_show_call
from triggers.audited import permission_for
from triggers.models import Action
from triggers.validation import explain_act_refusal


class ActConverter(StringConverter):
    """Match the acts that the addresses of these dialogs end with."""

    regex = "stop|start|restart|delete"


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def application_act(request: HttpRequest, application_id: int, act: str) -> HttpResponse:
    """Show or confirm the dialog. A delete takes the typed name of the application."""
    shown = get_visible(request, Application.objects.select_related("cluster"), pk=application_id)
    require(request, permission_for(act), shown)
    if request.method == "POST" and is_confirmed(request, act, shown.name):
        return start_and_show_call(request, shown, action=Action(act))
    context = describe_act_dialog(request, act, shown) | {"crumbs": [("Applications", reverse("applications"))]}
    return render_dialog(request, "console/calls/_application_act.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def container_act(request: HttpRequest, container_id: int, act: str) -> HttpResponse:
    """Show or confirm the dialog. A removal takes the typed name of the container."""
    shown = get_visible(request, Container.objects.select_related("service__application__cluster"), pk=container_id)
    application, name = shown.service.application, base_name(shown.name)
    require(request, permission_for(act, name), shown)
    if request.method == "POST" and is_confirmed(request, act, name):
        return start_and_show_call(request, application, shown.service, action=Action(act), container=name)
    applications = ("Applications", reverse("applications"))
    context = describe_act_dialog(request, act, application, name) | {
        "crumbs": [applications, (application.name, reverse("application", args=[application.pk]))],
        "container": shown,
        "name": name,
    }
    return render_dialog(request, "console/calls/_container_act.html", context)


def is_confirmed(request: HttpRequest, act: str, name: str) -> bool:
    return act != Action.DELETE or read_typed(request) == name


def read_typed(request: HttpRequest) -> str:
    return request.POST.get("name", "").strip()


def describe_act_dialog(request: HttpRequest, act: str, application: Application, container: str = "") -> dict[str, Any]:
    """Return what both dialogs show. `losses` is set for a delete (console.pages.calls.losses)."""
    refusal = explain_act_refusal(application, act, container)
    label = "Remove" if container and act == Action.DELETE else Action(act).label
    return {
        "heading": f"{label} {'container' if container else 'application'}",
        "title": f"{label} {container or application.name}",
        "act": act,
        "application": application,
        "cluster": application.cluster,
        "refusal": refusal,
        "losses": describe_losses(application, container) if act == Action.DELETE and not refusal else None,
        "typed": read_typed(request),
        "wrong": request.method == "POST",
    }
