"""The effective settings of containers and services, read live from their engine.

Secrets are masked unless `revealed` is set. Revealing is a POST, recorded in the audit log; a page shows the secrets once.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, OuterRef, Subquery, When
from django.http import HttpRequest

from clusters.access.audit import record_act
from clusters.engine.connection.client import EngineClient
from clusters.engine.errors import EngineError, TargetMissing
from clusters.engine.inspection.container_details import Configuration, ContainerDetails, read_container_details
from clusters.engine.inspection.swarm_details import read_service_configuration
from clusters.models import Application, Container, Service
from console.pages.shared.live import load_keys, open_application_engine

SERVICES_READ = 10  # at most, of an application, for one page
REVEALED = "revealed_environment"  # session key
REVEALED_FOR = 60  # seconds within which the revealed page must be requested
PERMISSION = "clusters.reveal_environment"


@dataclass(frozen=True)
class Section:
    """A service's settings, from its Swarm spec or its newest container. `problem` says why there are none."""

    service: Service
    container: Container | None = None
    configuration: Configuration | None = None
    problem: str = ""


@dataclass(frozen=True)
class LiveContainer:
    """A container as its engine describes it now.

    `is_gone` is set if it no longer exists on the engine; `problem` says why else there are no details."""

    details: ContainerDetails | None = None
    problem: str = ""
    is_gone: bool = False


def describe_configuration(request: HttpRequest, source: Application | Service) -> dict[str, Any]:
    """Return the context of `console/shared/configuration/_configuration.html`, also if the engine does not answer."""
    application = source if isinstance(source, Application) else source.application
    services = list(source.services.all()) if isinstance(source, Application) else [source]
    load_keys(application.cluster)
    revealed = {service.pk for service in services if take_revealed(request, service)}
    sections, problem = read_sections(application, services[:SERVICES_READ], revealed)
    return {
        "sections": sections,
        "configuration_problem": problem,
        "services_left_out": services[SERVICES_READ:],
        "show_service": isinstance(source, Application),
    }


def describe_section(service: Service, revealed: bool) -> dict[str, Any]:
    """Return the context of `console/shared/configuration/_configuration_section.html` for one service."""
    sections, problem = read_sections(service.application, [service], {service.pk} if revealed else set())
    return {"section": sections[0] if sections else Section(service, problem=problem)}


def read_sections(application: Application, services: list[Service], revealed: set[int]) -> tuple[list[Section], str]:
    """Return a section for each service; or none, and a sentence about why the engine cannot be read. One query."""
    containers = {} if application.is_swarm else find_newest_containers(services)
    try:
        with open_application_engine(application) as client:
            if application.is_swarm:
                return read_swarm_sections(client, services, revealed), ""
            return [
                read_section(client, service, containers.get(service.pk), service.pk in revealed) for service in services
            ], ""
    except EngineError as error:
        return [], error.message


def find_newest_containers(services: Iterable[Service]) -> dict[int, Container]:
    """Return for each service its newest running container, or its newest one if none runs."""
    newest = Container.objects.filter(service=OuterRef("pk")).order_by(
        Case(When(state="running", then=0), default=1), "-created_at", "name"
    )
    chosen = Service.objects.filter(pk__in=[service.pk for service in services]).values(
        newest=Subquery(newest.values("pk")[:1])
    )
    return {container.service_id: container for container in Container.objects.filter(pk__in=chosen)}


def read_section(client: EngineClient, service: Service, container: Container | None, revealed: bool) -> Section:
    """Read the settings of a service's container. Raises EngineError, except for a container that no longer exists."""
    if container is None:
        return Section(service, problem="It has no container on the engine.")
    try:
        inspected = client.inspect_container(container.container_id)
    except TargetMissing:
        return Section(service, container, problem="Its container no longer exists on the engine.")
    image = {"RepoDigests": service.image_digests} if service.image_id == container.image_id else {}
    return Section(service, container, read_container_details(inspected, image, revealed).configuration)


def read_swarm_sections(client: EngineClient, services: list[Service], revealed: set[int]) -> list[Section]:
    names = {str(network.get("Id")): str(network.get("Name")) for network in client.list_networks()}
    sections = []
    for service in services:
        try:
            inspected = client.inspect_service(service.swarm_id)
        except TargetMissing:
            sections.append(Section(service, problem="The service no longer exists in the Swarm."))
        else:
            configuration = read_service_configuration(inspected, names, service.pk in revealed)
            sections.append(Section(service, configuration=configuration))
    return sections


def read_live_container(container: Container, revealed: bool = False, with_image: bool = False) -> LiveContainer:
    """Read a container from its engine, with `with_image` also the digests of its image."""
    try:
        with open_application_engine(container.service.application) as client:
            inspected = client.inspect_container(container.container_id)
            image = inspect_image(client, str(inspected.get("Image"))) if with_image else {}
    except TargetMissing:
        return LiveContainer(is_gone=True)
    except EngineError as error:
        return LiveContainer(problem=error.message)
    return LiveContainer(read_container_details(inspected, image, revealed))


def inspect_image(client: EngineClient, image_id: str) -> dict[str, Any]:
    """Inspect an image; empty if it was removed although the container still exists."""
    try:
        return client.inspect_image(image_id)
    except TargetMissing:
        return {}


# Revealing


def record_reveal(request: HttpRequest, source: Container | Service) -> None:
    """Record in the audit log that the reader sees the secrets. Call it before they are read."""
    service = source.service if isinstance(source, Container) else source
    record_act(request, "container.reveal", source, application=service.application.name, service=service.name)


def remember_revealed(request: HttpRequest, source: Container | Service) -> None:
    """Let the next page of the container or service show its secrets. The reveal is already recorded."""
    request.session[REVEALED] = [source._meta.label, source.pk, time.time()]


def take_revealed(request: HttpRequest, source: Container | Service) -> bool:
    """Return whether this page shows the secrets, and forget it: a reload masks them again."""
    label, pk, moment = request.session.get(REVEALED) or ("", 0, 0.0)
    if (label, pk) != (source._meta.label, source.pk):
        return False
    del request.session[REVEALED]
    return time.time() - moment < REVEALED_FOR and request.user.has_perm(PERMISSION, source)
