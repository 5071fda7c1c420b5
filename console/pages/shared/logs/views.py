"""Logs of an application, a service or a container: the next lines for the panel, and everything as a file."""

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from clusters.access.audit import record_act
from clusters.engine.errors import EngineError
from clusters.engine.logs.cursor import LogCursor
from clusters.models import Application, Container, Service
from clusters.waits import wait_for_engine
from console.pages.shared.downloads import send_download
from console.pages.shared.exports import describe_filters
from console.pages.shared.logs.log_panel import (
    LogQuery,
    Row,
    answer_portion,
    find_target,
    name_file,
    open_log_engine,
    write_file,
)
from console.pages.shared.page import console_page, get_visible, require


@require_safe
@console_page
def application_logs(request: HttpRequest, application_id: int) -> HttpResponse:
    return send_portion(request, get_application(request, application_id))


@require_safe
@console_page
def application_logs_download(request: HttpRequest, application_id: int) -> HttpResponseBase:
    return send_file(request, get_application(request, application_id))


@require_safe
@console_page
def service_logs(request: HttpRequest, service_id: int) -> HttpResponse:
    return send_portion(request, get_service(request, service_id))


@require_safe
@console_page
def service_logs_download(request: HttpRequest, service_id: int) -> HttpResponseBase:
    return send_file(request, get_service(request, service_id))


@require_safe
@console_page
def container_logs(request: HttpRequest, container_id: int) -> HttpResponse:
    return send_portion(request, get_container(request, container_id))


@require_safe
@console_page
def container_logs_download(request: HttpRequest, container_id: int) -> HttpResponseBase:
    return send_file(request, get_container(request, container_id))


def send_portion(request: HttpRequest, row: Row) -> HttpResponse:
    """Send the lines after `?cursor=`. If the engine does not answer, the response has status 200 and says so."""
    require(request, "clusters.view_logs", row)
    query = LogQuery.from_request(request)
    try:
        cursor = LogCursor.decode(request.GET["cursor"]) if "cursor" in request.GET else None
    except ValueError as error:
        return JsonResponse({"problem": str(error)}, status=400)
    return JsonResponse(answer_portion(find_target(row, query), query, cursor))


def send_file(request: HttpRequest, row: Row) -> HttpResponseBase:
    require(request, "clusters.view_logs", row)
    query = LogQuery.from_request(request)
    target = find_target(row, query)

    def open_file() -> Iterator[str]:
        with wait_for_engine(target.endpoint.cluster_uid):
            client = open_log_engine(target.endpoint)
        record_act(request, "logs.download", row, **describe_filters(request))
        return write_file(client, target, query)

    try:
        return send_download(request, name_file(row), "text/plain; charset=utf-8", open_file)
    except EngineError as error:
        return HttpResponse(f"{error.message}\n", content_type="text/plain; charset=utf-8", status=503)


def get_application(request: HttpRequest, application_id: int) -> Application:
    return get_visible(request, Application.objects.select_related("cluster"), pk=application_id)


def get_service(request: HttpRequest, service_id: int) -> Service:
    return get_visible(request, Service.objects.select_related("application__cluster"), pk=service_id)


def get_container(request: HttpRequest, container_id: int) -> Container:
    return get_visible(request, Container.objects.select_related("service__application__cluster"), pk=container_id)
