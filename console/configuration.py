"""The effective settings of an application or a service, read live from its engine, without the values of secrets."""

from typing import Any

from django.http import HttpRequest

from clusters.models import Application, Service


def describe_configuration(request: HttpRequest, source: Application | Service) -> dict[str, Any]:
    """What `console/_configuration.html` shows. An engine that does not answer is a state of the page."""
    return {}
