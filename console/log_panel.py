"""The panel that shows logs: of a container, of a service, or of an application with all its services interleaved."""

from typing import Any

from django.http import HttpRequest

from clusters.models import Application, Container, Service


def describe_logs(request: HttpRequest, source: Application | Service | Container) -> dict[str, Any]:
    """What `console/_logs.html` needs to show them; the lines themselves come by an address of their own."""
    return {}
