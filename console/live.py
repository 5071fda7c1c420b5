"""What a page reads from an engine while somebody waits for the page."""

from collections.abc import Iterator
from contextlib import contextmanager

from clusters.engine.client import EngineClient
from clusters.engine.errors import EngineUnreachable
from clusters.models import Application, Cluster

PATIENCE = 5.0  # seconds for one answer


@contextmanager
def open_engine(application: Application) -> Iterator[EngineClient]:
    """A connection to the engine that the application runs on, not to be used inside a transaction.

    Raises EngineError: at once where the watcher knows already that the engine does not answer, so that nobody waits for it.
    """
    cluster = application.cluster
    if cluster.status == Cluster.Status.UNREACHABLE:
        raise EngineUnreachable(cluster.status_reason or "The engine does not answer.")
    with EngineClient(application.endpoint, timeout=PATIENCE) as client:
        yield client
