"""Asking an engine while somebody waits for the page: briefly, and what cannot be told is a state of the page."""

from clusters.engine.connection.client import EngineClient
from clusters.engine.errors import EngineUnreachable
from clusters.models import Application, Cluster

LIVE_PATIENCE = 5.0  # seconds for one answer


def open_engine(cluster: Cluster) -> EngineClient:
    """A connection to the engine at the cluster's own address, to be closed. The cluster's keys are needed: do not defer them.

    One that the watcher knows to be unreachable is not waited for. Raises EngineError.
    """
    refuse_unreachable(cluster)
    return connect(cluster)


def connect(cluster: Cluster) -> EngineClient:
    return EngineClient(cluster.endpoint.at(cluster.url), timeout=LIVE_PATIENCE)


def open_application_engine(application: Application) -> EngineClient:
    """As open_engine; of what runs on a Swarm, at the first of its managers that answers."""
    refuse_unreachable(application.cluster)
    return EngineClient(application.endpoint, timeout=LIVE_PATIENCE)


def load_keys(cluster: Cluster) -> None:
    """Reads what lists leave out, where it is not there yet: without it an engine behind TLS cannot be asked."""
    if missing := cluster.get_deferred_fields():
        cluster.refresh_from_db(fields=sorted(missing))


def refuse_unreachable(cluster: Cluster) -> None:
    if cluster.status == Cluster.Status.UNREACHABLE:
        raise EngineUnreachable(cluster.status_reason or "The engine does not answer.")
