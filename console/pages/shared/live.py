"""Connections to engines for pages. A person is waiting, so timeouts are short, and a failure becomes a state of the page.

Only so many pages wait at a time (`clusters.waits`), and none of them holds a database connection. Within the `with`, call
`release_connection` after a query.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from clusters.engine.connection.client import EngineClient
from clusters.engine.errors import EngineUnreachable
from clusters.models import Application, Cluster
from clusters.waits import wait_for_engine

LIVE_PATIENCE = 5.0  # seconds for one response


@contextmanager
def open_engine(cluster: Cluster) -> Iterator[EngineClient]:
    """Connect to the engine at the cluster's own address. The cluster's keys must not be deferred.

    Raises EngineError; at once where the watcher already knows that the engine is unreachable, and where too many wait for it.
    """
    refuse_unreachable(cluster)
    with wait_for_engine(cluster.uid), connect(cluster) as client:
        yield client


def connect(cluster: Cluster) -> EngineClient:
    return EngineClient(cluster.endpoint.at(cluster.url), timeout=LIVE_PATIENCE)


@contextmanager
def open_application_engine(application: Application) -> Iterator[EngineClient]:
    """Connect as `open_engine` does; for an application on a Swarm, to the first manager that answers."""
    refuse_unreachable(application.cluster)
    endpoint = application.endpoint
    with wait_for_engine(application.cluster.uid), EngineClient(endpoint, timeout=LIVE_PATIENCE) as client:
        yield client


def load_keys(cluster: Cluster) -> None:
    """Load the fields that lists defer, unless they are loaded: an engine behind TLS needs the keys."""
    if missing := cluster.get_deferred_fields():
        cluster.refresh_from_db(fields=sorted(missing))


def refuse_unreachable(cluster: Cluster) -> None:
    if cluster.status == Cluster.Status.UNREACHABLE:
        raise EngineUnreachable(cluster.status_reason or "The engine does not answer.")
