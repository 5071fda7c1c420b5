"""Observed state to rows. The only writer of applications, services, containers, tasks, nodes and a cluster's status.

Watcher, worker and tests may sync one cluster at the same time: an observation is written only if none that began later
was, and whoever writes holds the cluster's row, so that rows always show one whole observation.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.failures import describe_address
from clusters.engine.errors import EngineError, EngineUnreachable
from clusters.engine.inspection.listing import (
    EngineFacts,
    ListedContainer,
    ObservedApplication,
    ObservedEngine,
    ObservedService,
    observe_engine,
    read_engine_facts,
)
from clusters.engine.inspection.swarm_listing import ObservedSwarmService
from clusters.engine.inspection.swarm_nodes import ObservedNode
from clusters.engine.inspection.swarm_tasks import ObservedTask
from clusters.models import Application, Cluster, Container, Node, Service, Task

PLAIN_SOURCES = (Application.Source.COMPOSE, Application.Source.CONTAINER)
SWARM_SOURCES = (Application.Source.STACK, Application.Source.SERVICE)
TEST_TIMEOUT = 10.0  # seconds for one answer while a person waits


def sync_cluster(cluster: Cluster) -> None:
    """Bring the cluster's rows up to date. Raises EngineError, the cluster then being marked unreachable with its reason."""
    try:
        with EngineClient(cluster.endpoint) as client:
            observe_and_store(cluster, client)
    except EngineError as error:
        mark_unreachable(cluster, error.message)
        raise


def observe_and_store(cluster: Cluster, client: EngineClient) -> ObservedEngine:
    """sync_cluster over a connection that is already there. Raises EngineError and marks nothing."""
    began_at = timezone.now()
    observed = observe_engine(client, recall_images(cluster))
    if observed.swarm_problem and client.passed_over:
        others = client.passed_over[1:]  # the first is about the engine that was observed
        observed = replace(observed, swarm_problem=" ".join((observed.swarm_problem, *others)))
    store_observation(cluster, observed, began_at, find_stand_in(cluster, client))
    return observed


def find_stand_in(cluster: Cluster, client: EngineClient) -> str:
    """A sentence when another manager answers than the one at the cluster's first address; else empty.

    The address decides: engines on cloned machines have one id.
    """
    if client.address == cluster.url:
        return ""
    return f"{' '.join(client.passed_over)} The Swarm is seen through {describe_address(client.address)}."


@dataclass(frozen=True)
class AddressFacts:
    """One address of a cluster that has several. `problem`: why it is of no use as one of them; empty when it is."""

    address: str
    swarm_role: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ConnectionFacts(EngineFacts):
    """What answers first, and what is at each address where there are several."""

    addresses: tuple[AddressFacts, ...] = ()


def test_connection(endpoint: EngineEndpoint) -> ConnectionFacts:
    """What answers at the endpoint. Raises EngineError with the exact reason when nothing does."""
    endpoint.validate()
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(try_address, (endpoint.at(address) for address in endpoint.addresses)))
    answers = [facts for facts in found if isinstance(facts, EngineFacts)]
    if not answers:
        raise join_errors([error for error in found if isinstance(error, EngineError)])
    swarm_id = next((facts.swarm_id for facts in answers if facts.swarm_id), "")
    places = [describe_address(address) for address in endpoint.addresses]
    addresses = tuple(judge_address(place, facts, swarm_id) for place, facts in zip(places, found, strict=True))
    return ConnectionFacts(**asdict(answers[0]), addresses=addresses if len(addresses) > 1 else ())


def try_address(endpoint: EngineEndpoint) -> EngineFacts | EngineError:
    try:
        with EngineClient(endpoint, timeout=TEST_TIMEOUT) as client:
            return read_engine_facts(client)
    except EngineError as error:
        return error


def join_errors(errors: list[EngineError]) -> EngineError:
    return errors[0] if len(errors) == 1 else EngineUnreachable(" ".join(error.message for error in errors))


def judge_address(place: str, facts: EngineFacts | EngineError, swarm_id: str) -> AddressFacts:
    """`swarm_id`: of the Swarm that the cluster is."""
    if isinstance(facts, EngineError):
        return AddressFacts(place, problem=facts.message)
    if facts.swarm_role == "worker":
        return AddressFacts(place, "worker", "It is a Swarm worker, which cannot see stacks and services.")
    if facts.swarm_role != "manager":
        return AddressFacts(place, problem="It is not part of a Swarm.")
    if facts.swarm_id != swarm_id:
        return AddressFacts(place, "manager", "It is a manager of another Swarm.")
    return AddressFacts(place, "manager")


test_connection.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest makes of the name


def mark_unreachable(cluster: Cluster, reason: str) -> None:
    """The rows stay as last seen; the next observation that is stored clears this."""
    status = {"status": Cluster.Status.UNREACHABLE, "status_reason": reason[:500]}
    Cluster.objects.filter(pk=cluster.pk).exclude(status=Cluster.Status.UNREACHABLE).update(
        status_changed_at=timezone.now(), **status
    )
    Cluster.objects.filter(pk=cluster.pk).exclude(**status).update(**status)


def recall_images(cluster: Cluster) -> dict[str, str]:
    """Image references by container id, as already known."""
    known = Container.objects.filter(service__application__cluster=cluster).exclude(image="")
    return dict(known.values_list("container_id", "image"))


@transaction.atomic
def store_observation(cluster: Cluster, observed: ObservedEngine, began_at: datetime, stand_in: str = "") -> bool:
    """Write what changed, in queries that do not grow with the engine. False: a later observation is there already.

    While a Swarm cannot be seen, its rows stay as last seen; so do what the engine itself is and runs while another manager
    stands in for it, which the sentence `stand_in` says.
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
    """Write the engine's facts and hold the row to the end of the transaction, unless a later observation was stored.

    A `synced_at` in the future comes from a clock that was set back since: it must not block every sync until then.
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
        swarm_notice=make_notice(observed.facts, observed.swarm_problem),
        **({} if stand_in else describe_engine(observed.facts)),
    )
    return claimed == 1


def describe_engine(facts: EngineFacts) -> dict[str, Any]:
    return {
        "engine_id": facts.engine_id,
        "engine_version": facts.engine_version,
        "api_version": facts.api_version,
        "hostname": facts.hostname,
        "operating_system": facts.operating_system,
        "architecture": facts.architecture,
        "cpus": facts.cpus,
        "memory_bytes": facts.memory_bytes,
    }


def make_notice(facts: EngineFacts, problem: str) -> models.Case | str:
    """Cluster.swarm_notice. That an engine is no manager any more is said until it is one again, or the cluster is edited."""
    if facts.swarm_role == "manager":
        return f"{facts.hostname} cannot see its Swarm at the moment: {problem}"[:500] if problem else ""
    lost = (
        f"{facts.hostname} is no longer a Swarm manager, so its stacks and services cannot be seen: "
        f"{problem or 'it has left its Swarm.'}"
    )
    was_manager = Q(swarm_manager=True) | ~Q(swarm_notice="")
    return models.Case(models.When(was_manager, then=models.Value(lost[:500])), default=models.Value(""))


def store_applications(
    cluster: Cluster, observed: Iterable[ObservedApplication], sources: Iterable[str]
) -> dict[tuple[str, str], Application]:
    """All rows of the cluster from those sources, by source and name; those not observed are absent."""
    rows = {(row.source, row.name): row for row in Application.objects.filter(cluster=cluster, source__in=sources)}
    wanted = {(found.source, found.name): describe_application(found) for found in observed}
    gone = {"status": Application.Status.ABSENT, "wanted": 0, "running": 0}
    changed = [row for key, row in rows.items() if apply_values(row, wanted.get(key, gone))]
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
    """All rows of those applications with what was observed of them; None: the service is absent."""
    found_services = {
        (applications[found.source, found.name].pk, service.name): service for found in observed for service in found.services
    }
    known = {row.pk for row in applications.values()}
    stored = Service.objects.filter(application__cluster=cluster)
    rows = {(row.application_id, row.name): row for row in stored if row.application_id in known}
    gone = {"status": Application.Status.ABSENT, "replicas": 0, "running": 0, "health": "", "ports": [], "last_error": ""}
    changed = [
        row
        for key, row in rows.items()
        if apply_values(row, describe_service(found_services[key]) if key in found_services else gone)
    ]
    new = [
        Service(application_id=application_id, name=name, **describe_service(found))
        for (application_id, name), found in found_services.items()
        if (application_id, name) not in rows
    ]
    write_rows(Service, new, changed)
    return {row: found_services.get((row.application_id, row.name)) for row in [*rows.values(), *new]}


def store_containers(cluster: Cluster, services: Mapping[Service, ObservedService | ObservedSwarmService | None]) -> None:
    wanted = {
        (service.pk, container.container_id): describe_container(container)
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
    """Make the stored rows those wanted: values by key, which are the columns `key_names`."""
    rows = {tuple(getattr(row, name) for name in key_names): row for row in stored}
    changed = [row for key, row in rows.items() if key in wanted and apply_values(row, wanted[key])]
    new = [model(**dict(zip(key_names, key, strict=True)), **values) for key, values in wanted.items() if key not in rows]
    model._default_manager.filter(pk__in=[row.pk for key, row in rows.items() if key not in wanted]).delete()
    write_rows(model, new, changed)


def read_fields(found: ObservedTask | ObservedNode | ObservedSwarmService, exclude: set[str]) -> dict[str, Any]:
    return {item.name: getattr(found, item.name) for item in fields(found) if item.name not in exclude}


def describe_application(found: ObservedApplication) -> dict[str, Any]:
    return {
        "status": found.status,
        "wanted": found.wanted,
        "running": found.running,
        "system": found.system,
        "protected": found.protected,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


def describe_service(found: ObservedService | ObservedSwarmService) -> dict[str, Any]:
    values = {
        "status": found.status,
        "mode": found.mode,
        "replicas": found.replicas,
        "running": found.running,
        "image": found.image,
        "image_id": found.image_id,
        "image_digests": found.image_digests,
        "ports": found.ports,
        "health": found.health,
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


def describe_container(found: ListedContainer) -> dict[str, Any]:
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
    """Set them on the row; True if any differs from what it had."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)


def write_rows(model: type[models.Model], new: list[Any], changed: list[Any]) -> None:
    """Insert and update in bulk. The update is an upsert on the primary key: one statement for many rows and columns."""
    manager = model._default_manager
    manager.bulk_create(new)
    if changed:
        columns = [column.name for column in model._meta.concrete_fields if not column.primary_key]
        manager.bulk_create(changed, update_conflicts=True, unique_fields=["pk"], update_fields=columns)


def prune_absent(rows: models.QuerySet[Any]) -> None:
    """Delete what is gone from the engine and that nothing outside this app refers to (a trigger, a call)."""
    absent = rows.filter(status=Application.Status.ABSENT)
    # The lock keeps a trigger or call from being added to one of them between the question and the deletion.
    candidates = [row.pk for row in absent.select_for_update(of=("self",))]
    if not candidates:
        return
    unreferenced = rows.model._default_manager.filter(pk__in=candidates)
    for relation in rows.model._meta.related_objects:
        if relation.related_model._meta.app_label != rows.model._meta.app_label:
            references = relation.related_model._base_manager.filter(**{relation.field.name: OuterRef("pk")})
            unreferenced = unreferenced.filter(~Exists(references))
    unreferenced.delete()
