"""Stores what is observed on an engine. The only writer of applications, services, containers, tasks, nodes and a cluster's
status.

Several processes can sync one cluster at the same time. An observation is stored only if none that began later is stored
already, and the writer locks the cluster's row, so the rows always show one whole observation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.failures import describe_address
from clusters.engine.errors import EngineError
from clusters.engine.inspection.listing import (
    EngineFacts,
    ListedContainer,
    ObservedApplication,
    ObservedEngine,
    ObservedService,
    observe_engine,
)
from clusters.engine.inspection.swarm_listing import ObservedSwarmService
from clusters.engine.inspection.swarm_nodes import ObservedNode
from clusters.engine.inspection.swarm_tasks import ObservedTask
from clusters.models import Application, Cluster, Container, Node, Service, Task
from clusters.waits import release_connection

PLAIN_SOURCES = (Application.Source.COMPOSE, Application.Source.CONTAINER)
SWARM_SOURCES = (Application.Source.STACK, Application.Source.SERVICE)
NOT_OBSERVED = {"left_stopped", "left_images"}  # calls write these columns, perhaps while an observation is stored


def sync_cluster(cluster: Cluster) -> None:
    """Bring the cluster's rows up to date. Marks the cluster unreachable and raises EngineError when its engine fails."""
    try:
        with EngineClient(cluster.endpoint) as client:
            observe_and_store(cluster, client)
    except EngineError as error:
        mark_unreachable(cluster, error.message)
        raise


def observe_and_store(cluster: Cluster, client: EngineClient) -> ObservedEngine:
    """Sync the cluster over an open connection. Raises EngineError, without marking the cluster unreachable."""
    began_at = timezone.now()
    known_images = recall_images(cluster)
    release_connection()
    observed = observe_engine(client, known_images)
    if observed.swarm_problem and client.passed_over:
        others = client.passed_over[1:]  # the first is about the engine that was observed
        observed = replace(observed, swarm_problem=" ".join((observed.swarm_problem, *others)))
    store_observation(cluster, observed, began_at, find_stand_in(cluster, client))
    return observed


def find_stand_in(cluster: Cluster, client: EngineClient) -> str:
    """Return a sentence if a manager other than the one at the cluster's first address answers, else an empty string.

    Compares addresses, not engine ids: engines on cloned machines share one id.
    """
    if client.address == cluster.url:
        return ""
    return f"{' '.join(client.passed_over)} The Swarm is seen through {describe_address(client.address)}."


def mark_unreachable(cluster: Cluster, reason: str) -> None:
    """Store the reason; the rows stay as last seen. The next stored observation marks the cluster reachable again."""
    status = {"status": Cluster.Status.UNREACHABLE, "status_reason": reason[:500]}
    Cluster.objects.filter(pk=cluster.pk).exclude(status=Cluster.Status.UNREACHABLE).update(
        status_changed_at=timezone.now(), **status
    )
    Cluster.objects.filter(pk=cluster.pk).exclude(**status).update(**status)


def recall_images(cluster: Cluster) -> dict[str, str]:
    """Return the stored image references by container id."""
    known = Container.objects.filter(service__application__cluster=cluster).exclude(image="")
    return dict(known.values_list("container_id", "image"))


@transaction.atomic
def store_observation(cluster: Cluster, observed: ObservedEngine, began_at: datetime, stand_in: str = "") -> bool:
    """Write what changed. Returns False, and writes nothing, if a later observation is stored already.

    The number of queries does not grow with the engine. While the Swarm cannot be seen, its rows stay as last seen. While
    another manager stands in for the engine at the first address (`stand_in` is the sentence that says so), that engine's own
    facts and containers stay as last seen.
    """
    if not claim_cluster(cluster, observed, began_at, stand_in):
        return False
    sources = [*([] if stand_in else PLAIN_SOURCES), *([] if observed.swarm_problem else SWARM_SOURCES)]
    seen = [found for found in observed.applications if found.source in sources]
    services = store_services(cluster, store_applications(cluster, seen, sources), seen)
    if not stand_in:
        store_containers(cluster, services)
    if not observed.swarm_problem:
        store_tasks(cluster, services)
        store_nodes(cluster, observed.nodes)
    prune_absent(Service.objects.filter(application__cluster=cluster))
    prune_absent(Application.objects.filter(cluster=cluster, services__isnull=True))
    return True


def claim_cluster(cluster: Cluster, observed: ObservedEngine, began_at: datetime, stand_in: str) -> bool:
    """Write the engine's facts and lock the row until the transaction ends. Returns False if a later observation is stored.

    A `synced_at` in the future comes from a clock that was set back later: it must not block every sync until then.
    """
    stored = Q(synced_at__isnull=True) | Q(synced_at__lte=began_at) | Q(synced_at__gt=timezone.now())
    reachable = models.Case(
        models.When(status=Cluster.Status.REACHABLE, then="status_changed_at"), default=models.Value(began_at)
    )
    claimed = Cluster.objects.filter(stored, pk=cluster.pk).update(
        synced_at=began_at,
        status_changed_at=reachable,
        status=Cluster.Status.REACHABLE,
        status_reason=stand_in[:500],
        swarm_manager=observed.facts.swarm_role == "manager",
        swarm_notice=make_swarm_notice(observed.facts, observed.swarm_problem),
        **({} if stand_in else read_engine_values(observed.facts)),
    )
    return claimed == 1


def read_engine_values(facts: EngineFacts) -> dict[str, Any]:
    return {
        "engine_id": facts.engine_id,
        "engine_name": facts.engine_name,
        "engine_version": facts.engine_version,
        "api_version": facts.api_version,
        "hostname": facts.hostname,
        "operating_system": facts.operating_system,
        "architecture": facts.architecture,
        "cpus": facts.cpus,
        "memory_bytes": facts.memory_bytes,
    }


def make_swarm_notice(facts: EngineFacts, problem: str) -> models.Case | str:
    """Return the value of Cluster.swarm_notice.

    The notice that an engine is no longer a manager stays until the engine is one again or somebody edits the cluster.
    """
    if facts.swarm_role == "manager":
        return f"{facts.hostname} cannot see its Swarm at the moment: {problem}"[:500] if problem else ""
    what = "The Swarm of {}" if facts.swarm_state == "locked" else "{} is no longer a Swarm manager, so its stacks and services"
    lost = f"{what.format(facts.hostname)} cannot be seen: {problem or 'it has left its Swarm.'}"
    was_manager = Q(swarm_manager=True) | ~Q(swarm_notice="")
    return models.Case(models.When(was_manager, then=models.Value(lost[:500])), default=models.Value(""))


def store_applications(
    cluster: Cluster, observed: Iterable[ObservedApplication], sources: Iterable[str]
) -> dict[tuple[str, str], Application]:
    """Return all rows of the cluster from those sources, by source and name. Those not observed become absent."""
    rows = {(row.source, row.name): row for row in Application.objects.filter(cluster=cluster, source__in=sources)}
    wanted = {(found.source, found.name): read_application_values(found) for found in observed}
    absent = {"status": Application.Status.ABSENT, "wanted": 0, "running": 0}
    changed = [row for key, row in rows.items() if apply_values(row, wanted.get(key, absent))]
    new = [
        Application(cluster=cluster, source=source, name=name, **values)
        for (source, name), values in wanted.items()
        if (source, name) not in rows
    ]
    write_rows(Application, new, changed)
    return rows | {(row.source, row.name): row for row in new}


def store_services(
    cluster: Cluster, applications: Mapping[tuple[str, str], Application], observed: Iterable[ObservedApplication]
) -> dict[Service, ObservedService | ObservedSwarmService | None]:
    """Return all service rows of those applications, each with what was observed of it; None means that it is absent."""
    found_services = {
        (applications[found.source, found.name].pk, service.name): service for found in observed for service in found.services
    }
    known = {row.pk for row in applications.values()}
    stored = Service.objects.filter(application__cluster=cluster)
    rows = {(row.application_id, row.name): row for row in stored if row.application_id in known}
    absent = {"status": Application.Status.ABSENT, "replicas": 0, "running": 0, "health": "", "ports": [], "last_error": ""}
    changed = [
        row
        for key, row in rows.items()
        if apply_values(row, read_service_values(found_services[key]) if key in found_services else absent)
    ]
    new = [
        Service(application_id=application_id, name=name, **read_service_values(found))
        for (application_id, name), found in found_services.items()
        if (application_id, name) not in rows
    ]
    write_rows(Service, new, changed)
    return {row: found_services.get((row.application_id, row.name)) for row in [*rows.values(), *new]}


def store_containers(cluster: Cluster, services: Mapping[Service, ObservedService | ObservedSwarmService | None]) -> None:
    wanted = {
        (service.pk, container.container_id): read_container_values(container)
        for service, found in services.items()
        if found
        for container in found.containers
    }
    stored = Container.objects.filter(service__application__cluster=cluster)
    replace_rows(Container, stored, wanted, ("service_id", "container_id"))


def store_tasks(cluster: Cluster, services: Mapping[Service, ObservedService | ObservedSwarmService | None]) -> None:
    wanted = {
        (service.pk, task.task_id): read_fields(task, exclude={"task_id"})
        for service, found in services.items()
        if isinstance(found, ObservedSwarmService)
        for task in found.tasks
    }
    replace_rows(Task, Task.objects.filter(service__application__cluster=cluster), wanted, ("service_id", "task_id"))


def store_nodes(cluster: Cluster, observed: Iterable[ObservedNode]) -> None:
    wanted = {(cluster.pk, node.node_id): read_fields(node, exclude={"node_id"}) for node in observed}
    replace_rows(Node, Node.objects.filter(cluster=cluster), wanted, ("cluster_id", "node_id"))


def replace_rows(
    model: type[models.Model],
    stored: models.QuerySet[Any],
    wanted: Mapping[tuple[Any, ...], Mapping[str, Any]],
    key_names: tuple[str, ...],
) -> None:
    """Make the stored rows equal to `wanted`: values of the columns `key_names` → values of the other columns by name."""
    rows = {tuple(getattr(row, name) for name in key_names): row for row in stored}
    changed = [row for key, row in rows.items() if key in wanted and apply_values(row, wanted[key])]
    new = [model(**dict(zip(key_names, key, strict=True)), **values) for key, values in wanted.items() if key not in rows]
    model._default_manager.filter(pk__in=[row.pk for key, row in rows.items() if key not in wanted]).delete()
    write_rows(model, new, changed)


def read_fields(found: ObservedTask | ObservedNode | ObservedSwarmService, exclude: set[str]) -> dict[str, Any]:
    return {item.name: getattr(found, item.name) for item in fields(found) if item.name not in exclude}


def read_application_values(found: ObservedApplication) -> dict[str, Any]:
    return {
        "status": found.status,
        "wanted": found.wanted,
        "running": found.running,
        "system": found.system,
        "protected": found.protected,
        "freeze_label": found.freeze_label,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


def read_service_values(found: ObservedService | ObservedSwarmService) -> dict[str, Any]:
    values = {
        "status": found.status,
        "mode": found.mode,
        "replicas": found.replicas,
        "running": found.running,
        "image": found.image,
        "image_id": found.image_id,
        "image_digests": found.image_digests,
        "image_facts": found.image_facts,
        "ports": found.ports,
        "health": found.health,
        "least_age_label": found.least_age_label,
    }
    if isinstance(found, ObservedSwarmService):
        values |= {
            "swarm_id": found.swarm_id,
            "update_state": found.update_state,
            "update_message": found.update_message,
            "update_started_at": found.update_started_at,
            "last_error": found.last_error,
            "update_config": found.update_config,
            "rollback_config": found.rollback_config,
        }
    return values


def read_container_values(found: ListedContainer) -> dict[str, Any]:
    return {
        "name": found.name,
        "state": found.state,
        "status_text": found.status_text,
        "health": found.health,
        "image": found.image,
        "image_id": found.image_id,
        "ports": found.ports,
        "addresses": found.addresses,
        "created_at": found.created_at,
    }


def apply_values(row: models.Model, values: Mapping[str, Any]) -> bool:
    """Set the values on the row. Returns whether any of them changed."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)


def write_rows(model: type[models.Model], new: list[Any], changed: list[Any]) -> None:
    """Insert and update in bulk. The update is an upsert on the primary key, one statement for many rows and columns."""
    manager = model._default_manager
    manager.bulk_create(new)
    if changed:
        names = [column.name for column in model._meta.concrete_fields if not column.primary_key]
        columns = [name for name in names if name not in NOT_OBSERVED]
        manager.bulk_create(changed, update_conflicts=True, unique_fields=["pk"], update_fields=columns)


def prune_absent(rows: models.QuerySet[Any]) -> None:
    """Delete the absent rows that nothing outside this app (a trigger, a call) refers to."""
    absent = rows.filter(status=Application.Status.ABSENT)
    # The lock prevents a trigger or call from being added to one of them between this query and the deletion.
    candidates = [row.pk for row in absent.select_for_update(of=("self",))]
    if not candidates:
        return
    unreferenced = rows.model._default_manager.filter(pk__in=candidates)
    for relation in rows.model._meta.related_objects:
        if relation.related_model._meta.app_label != rows.model._meta.app_label:
            references = relation.related_model._base_manager.filter(**{relation.field.name: OuterRef("pk")})
            unreferenced = unreferenced.filter(~Exists(references))
    unreferenced.delete()
