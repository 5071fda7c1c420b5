"""Observe an engine that is a Swarm manager with recorded services, tasks and nodes."""

from clusters.engine.inspection.listing import observe_engine
from clusters.engine.inspection.tests.recorded import RecordedEngine, swarm_service, swarm_task


def observe(services=(), tasks=(), nodes=(), *containers):
    return observe_engine(RecordedEngine(*containers).manage(services, tasks, nodes))


def observe_one(service, *tasks, nodes=()):
    (application,) = observe([service], tasks, nodes).applications
    return application.services[0]


def outline(observed):
    """Return status, wanted and running by `source/application/service`."""
    return {
        f"{application.source}/{application.name}/{service.name}": (service.status, service.replicas, service.running)
        for application in observed.applications
        for service in application.services
    }


def job(**counts):
    return swarm_service("job", mode={"ReplicatedJob": counts}, JobStatus={"JobIteration": {"Index": 4}})


def job_task(service, slot, state="complete", iteration=4, **changes):
    return swarm_task(service, slot, state=state, DesiredState="complete", JobIteration={"Index": iteration}, **changes)
