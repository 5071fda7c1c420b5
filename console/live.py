"""Asking an engine while somebody waits for the page: briefly, and what cannot be told is a state of the page."""

from clusters.engine.client import EngineClient
from clusters.engine.errors import EngineUnreachable
from clusters.models import Cluster

LIVE_PATIENCE = 5.0  # seconds for one answer


def open_engine(cluster: Cluster) -> EngineClient:
    """A connection to the engine at the cluster's own address, to be closed. The cluster's keys are needed: do not defer them.

    One that the watcher knows to be unreachable is not waited for. Raises EngineError.
    """
    if cluster.status == Cluster.Status.UNREACHABLE:
        raise EngineUnreachable(cluster.status_reason or "The engine does not answer.")
    return connect(cluster)


def connect(cluster: Cluster) -> EngineClient:
    return EngineClient(cluster.endpoint.at(cluster.url), timeout=LIVE_PATIENCE)
