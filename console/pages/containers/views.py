"""One container: its live state, logs, configuration and resource use."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from clusters.engine.errors import EngineError, TargetMissing
from clusters.engine.inspection.resource_usage import ResourceUsage, read_resource_usage
from clusters.models import Container
from console.pages.containers.use_charts import UseHistory, draw_charts
from console.pages.shared.configuration.configuration import (
    PERMISSION,
    LiveContainer,
    read_live_container,
    record_reveal,
    remember_revealed,
    take_revealed,
)
from console.pages.shared.live import open_application_engine
from console.pages.shared.logs.log_panel import describe_logs
from console.pages.shared.page import console_page, get_visible, is_partial, read_tab, redirect_to, require

TABS = ("overview", "logs", "configuration")
# Pieces that poll, by element id.
PIECES = {
    "container-about": "console/containers/_container_about.html",
    "container-details": "console/containers/_container_details.html",
}


@require_safe
@console_page
def container(request: HttpRequest, container_id: int) -> HttpResponse:
    """Show the container as last seen, with what its engine reports now. Two pieces of the page poll."""
    piece = next((piece for piece in PIECES if is_partial(request, piece)), "")
    try:
        shown = _get_container(request, container_id)
    except Http404:
        if not piece:
            raise
        return render(request, "console/containers/_container_gone.html", {"piece": piece})
    tab = read_tab(request, TABS)
    if tab == "logs":
        require(request, "clusters.view_logs", shown)
    is_configuration = tab == "configuration" and not piece
    revealed = is_configuration and take_revealed(request, shown)
    live = read_live_container(shown, revealed, with_image=is_configuration)
    context = _container_context(shown, live) | {"title": shown.name, "tab": tab}
    if piece:
        return render(request, PIECES[piece], context)
    if tab == "logs":
        context |= describe_logs(request, shown)
    return render(request, "console/containers/container.html", context)


@require_POST
@console_page
def container_reveal(request: HttpRequest, container_id: int) -> HttpResponse:
    """Replace the masked settings by revealed ones. Without scripts, the next page shows them once."""
    shown = _get_container(request, container_id)
    require(request, PERMISSION, shown)
    record_reveal(request, shown)
    if not is_partial(request, f"settings-{shown.pk}"):
        remember_revealed(request, shown)
        return redirect_to(request, "container", shown.pk, query="?tab=configuration")
    live = read_live_container(shown, revealed=True, with_image=True)
    return render(request, "console/containers/_container_settings.html", _container_context(shown, live))


@require_safe
@console_page
def container_use(request: HttpRequest, container_id: int) -> HttpResponse:
    """Show the container's resource use.

    The container's page polls for one sample at a time, with the `?history=` of the previous response. As a page of its own
    it takes two samples, for which the engine needs up to 2 s.
    """
    shown = _get_container(request, container_id)
    is_live = is_partial(request, "container-use")
    history = UseHistory.read(request.GET.get("history", ""))
    use, problem = _measure_use(shown, history, wait=not is_live)
    history = history.add(use) if use else UseHistory()
    context = _container_context(shown, LiveContainer()) | {
        "title": f"Resource use of {shown.name}",
        "use": use,
        "problem": problem,
        "history": history.write(),
        "charts": draw_charts(history) if is_live else [],
        "is_live": is_live,
    }
    context["crumbs"] = [*context["crumbs"], (shown.name, reverse("container", args=[shown.pk]))]
    return render(
        request, "console/containers/_container_use.html" if is_live else "console/containers/container_use.html", context
    )


def _measure_use(shown: Container, history: UseHistory, wait: bool) -> tuple[ResourceUsage | None, str]:
    """Measure the use; or return none, and a sentence that says why."""
    try:
        with open_application_engine(shown.service.application) as client:
            use = read_resource_usage(client.container_stats(shown.container_id, wait=wait), history.counters)
    except TargetMissing:
        return None, "The container no longer exists on the engine."
    except EngineError as error:
        return None, f"Resource use cannot be measured: {error.message}"
    return use, "" if use else "The container is not running, so it uses nothing."


def _container_context(shown: Container, live: LiveContainer) -> dict[str, Any]:
    application = shown.service.application
    if live.details:
        _follow_engine(shown, live)
    return {
        "container": shown,
        "service": shown.service,
        "application": application,
        "cluster": application.cluster,
        "live": live,
        "crumbs": [
            ("Applications", reverse("applications")),
            (application.name, reverse("application", args=[application.pk])),
        ],
    }


def _follow_engine(shown: Container, live: LiveContainer) -> None:
    """Show one state on the whole page: the engine's, which the database row follows within a second."""
    if details := live.details:
        shown.state = details.state.word
        shown.health = details.health.status if details.health and details.state.is_running else ""


def _get_container(request: HttpRequest, container_id: int) -> Container:
    return get_visible(request, Container.objects.select_related("service__application__cluster"), pk=container_id)
