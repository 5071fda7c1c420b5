"""Connections to engines for pages. A person is waiting, so timeouts are short, and a failure becomes a state of the page."""

from clusters.engine.connection.client import EngineClient
from clusters.engine.errors import EngineUnreachable
from clusters.models import Application, Cluster

LIVE_PATIENCE = 5.0  # seconds for one response


def open_engine(cluster: Cluster) -> EngineClient:
    """Connect to the engine at the cluster's own address. The caller closes the connection, and must not defer the keys.

    Raises EngineError; at once where the watcher already knows that the engine is unreachable.
    """
    refuse_unreachable(cluster)
    return connect(cluster)


def connect(cluster: Cluster) -> EngineClient:
    return EngineClient(cluster.endpoint.at(cluster.url), timeout=LIVE_PATIENCE)


def open_application_engine(application: Application) -> EngineClient:
    """Connect as `open_engine` does; for an application on a Swarm, to the first manager that answers."""
    refuse_unreachable(application.cluster)
    return EngineClient(application.endpoint, timeout=LIVE_PATIENCE)


def load_keys(cluster: Cluster) -> None:
    """Load the fields that lists defer, unless they are loaded: an engine behind TLS needs the keys."""
    if missing := cluster.get_deferred_fields():
        cluster.refresh_from_db(fields=sorted(missing))


def refuse_unreachable(cluster: Cluster) -> None:
    if cluster.status == Cluster.Status.UNREACHABLE:
        raise EngineUnreachable(cluster.status_reason or "The engine does not answer.")
