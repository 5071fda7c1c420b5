"""Keeps the inventory current. One thread per cluster listens to the engine's events and syncs after them.

Of several watcher processes the one that holds a cluster's lease watches it. If two do so for a moment, they write the same
rows twice.

A thread alternates between two steps: it syncs, then listens for events since the moment before that sync (by the engine's
own clock, so that no event is missed) until something happens or a full resync is due. Events that arrive within
DEBOUNCE_SECONDS of the first one cause one sync.

Tasks on a Swarm's other nodes cause no events on this engine. Between short rounds of listening the thread reads the tasks,
and syncs if one has changed.

While a thread waits for its engine it holds no database connection, so a process can watch more clusters than it has
connections.
"""

import threading
import time

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import close_old_connections, connection, connections

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.event_stream import EventStream
from clusters.engine.errors import EngineError
from clusters.engine.inspection.listing import ObservedEngine
from clusters.engine.inspection.swarm_listing import look_at_tasks
from clusters.inventory import mark_unreachable, observe_and_store
from clusters.leases import claim_leases, extend_leases, make_lease_owner, release_leases
from clusters.models import Cluster
from clusters.steady import pulse
from clusters.waits import release_connection

log = structlog.get_logger("windlass.watch")

ROSTER_SECONDS = 2.0  # until a cluster that was added, changed or deleted is noticed
ROSTER_SILENT_SECONDS = 120.0  # for which reading the clusters may take
RESYNC_SECONDS = 60.0
PODMAN_RESYNC_SECONDS = 20.0  # it can miss the end of a process, which another process of its has to report
RECONNECT_SECONDS = 10.0  # until all managers are tried again, while none of several can see the Swarm
DEBOUNCE_SECONDS = 0.2
# One round of listening. A silent network is noticed at its end, because the engine then does not end the round in time.
LISTEN_SECONDS = 10.0
ANSWER_SECONDS = 15.0
LOOK_SECONDS = 2.0  # between two looks at a Swarm's tasks; longer if looking would take more than LOOK_SHARE of the time
LOOK_SHARE = 0.02
LOOK_PATIENCE = 5.0
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
STOP_SECONDS = 3.0  # for which a stopping watcher waits for its threads

EVENT_FILTERS = {
    "type": ["container", "image", "network", "service", "node"],
    # exec_* is left out: each health check causes such events every few seconds, and health_status reports the result.
    "event": [
        "create",
        "start",
        "die",
        "died",  # Podman's word in filters
        "pause",
        "unpause",
        "destroy",
        "rename",
        "update",
        "remove",
        "health_status",
        "pull",
        "tag",
        "untag",
        "delete",
        "load",
        "import",
        "connect",
        "disconnect",
    ],
}


def run_watcher(stop: threading.Event) -> None:
    """Watch the clusters that no other watcher has claimed, until `stop` is set."""
    threads: dict[int, ClusterWatch] = {}
    roster = Roster()
    try:
        while not stop.is_set():
            pulse.beat("watcher", ROSTER_SILENT_SECONDS)
            try:
                close_old_connections()
                adjust_watches(threads, roster.claim_clusters())
            except DatabaseFailure as error:
                log.warning("the list of clusters cannot be read", error=str(error))
                connection.close()
            except Exception:
                log.exception("the list of clusters cannot be followed")
                connection.close()
            stop.wait(min(ROSTER_SECONDS, settings.CALL_LEASE_SECONDS / 3))
    finally:
        for watch in threads.values():
            watch.stop()
        deadline = time.monotonic() + STOP_SECONDS
        for watch in threads.values():
            watch.join(max(deadline - time.monotonic(), 0))
        roster.release_clusters()
        connection.close()


class Roster:
    """The clusters that this watcher watches: those whose lease it holds."""

    def __init__(self) -> None:
        self.owner = make_lease_owner()
        self._extend_at = 0.0

    def claim_clusters(self) -> dict[int, Cluster]:
        """Claim the clusters that nobody watches, and return all that this watcher holds, by id. Raises DatabaseError."""
        seconds = settings.CALL_LEASE_SECONDS
        now = time.monotonic()
        if now >= self._extend_at:
            extend_leases(self.owner, seconds)
            self._extend_at = now + seconds / 3
        clusters = {name_cluster_lease(cluster.pk): cluster for cluster in Cluster.objects.all()}
        held = claim_leases(clusters, self.owner, seconds)
        if deleted := held - clusters.keys():
            release_leases(self.owner, deleted)
        return {cluster.pk: cluster for name, cluster in clusters.items() if name in held}

    def release_clusters(self) -> None:
        """Let other watchers take over at once. If this fails, they take over when the leases expire."""
        try:
            release_leases(self.owner)
        except DatabaseFailure as error:
            log.warning("the clusters cannot be handed over", error=str(error))


def name_cluster_lease(cluster_id: int) -> str:
    return f"cluster {cluster_id}"


def adjust_watches(watches: "dict[int, ClusterWatch]", clusters: dict[int, Cluster]) -> None:
    """Keep one live watch for each cluster, at its current address."""
    for pk, watch in list(watches.items()):
        if pk not in clusters or clusters[pk].endpoint != watch.endpoint or not watch.is_alive():
            watch.stop()
            del watches[pk]
    for pk, cluster in clusters.items():
        if pk not in watches:
            watches[pk] = ClusterWatch(cluster)
            watches[pk].start()


class ClusterWatch(threading.Thread):
    """A thread that keeps one cluster in sync until it is stopped."""

    def __init__(self, cluster: Cluster) -> None:
        # A daemon, because a thread that hangs in a network call must not prevent the process from ending.
        super().__init__(name=f"watch-{cluster.name}", daemon=True)
        self.cluster = cluster
        self.endpoint: EngineEndpoint = cluster.endpoint
        self.log = log.bind(cluster=cluster.name)
        self._stopping = threading.Event()
        self._stream: EventStream | None = None
        self._failures = 0

    def stop(self) -> None:
        """Ask the thread to end, and wake it if it listens. Returns at once."""
        self._stopping.set()
        if stream := self._stream:
            stream.interrupt()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.follow_engine()
                release_connection()
                if self._failures:
                    self._stopping.wait(RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1])
        finally:
            connections.close_all()

    def follow_engine(self) -> None:
        """Sync and listen over one connection, until it is lost, the watch is stopped, or another address should be tried."""
        try:
            with EngineClient(self.endpoint, timeout=ANSWER_SECONDS) as client:
                connected_at = time.monotonic()
                while not self._stopping.is_set():
                    close_old_connections()
                    observed = observe_and_store(self.cluster, client)
                    release_connection()
                    if self._failures:
                        self.log.info("engine answers again")
                    self._failures = 0
                    if observed.swarm_problem and self.endpoint.others and not client.passed_over:
                        self._stopping.wait(RETRY_SECONDS[0])
                        return
                    patience = choose_patience(observed, client)
                    self.wait_for_change(client, observed, patience)
                    if client.passed_over and time.monotonic() - connected_at >= patience:
                        return
        except EngineError as error:
            self._failures += 1
            if not self._stopping.is_set():
                self.report_loss(error)
        except DatabaseFailure as error:
            self._failures += 1
            self.report_database_failure(error)
        except Exception:
            self._failures += 1
            self.log.exception("the engine cannot be followed")

    def wait_for_change(self, client: EngineClient, observed: ObservedEngine, patience: float) -> None:
        """Return once something has happened on the engine or its Swarm since it was observed, or after `patience` seconds."""
        resync_at = time.monotonic() + patience
        is_in_swarm = observed.facts.swarm_state != "inactive"
        seconds = LOOK_SECONDS if is_in_swarm else LISTEN_SECONDS
        since = observed.facts.time or time.time()
        while time.monotonic() < resync_at:
            with EventStream(client, since, since + seconds, EVENT_FILTERS) as self._stream:
                if self._stopping.is_set():
                    return
                if self._stream.wait_for_event():
                    self._stopping.wait(DEBOUNCE_SECONDS)
                    return
            since += seconds
            if is_in_swarm:
                began = time.monotonic()
                if find_fingerprint(client) != observed.fingerprint:
                    return
                took = time.monotonic() - began
                seconds = min(max(took / LOOK_SHARE, LOOK_SECONDS), LISTEN_SECONDS)

    def report_loss(self, error: EngineError) -> None:
        if self._failures == 1:  # one line per loss, not per attempt
            self.log.warning("engine lost", reason=error.message)
        try:
            mark_unreachable(self.cluster, error.message)
        except DatabaseFailure as failure:
            self.report_database_failure(failure)

    def report_database_failure(self, error: DatabaseFailure) -> None:
        self.log.warning("the inventory cannot be written", error=str(error))
        connection.close()


def choose_patience(observed: ObservedEngine, client: EngineClient) -> float:
    """Return the seconds after which the engine is synced although nothing seems to have happened."""
    if observed.swarm_problem and client.passed_over:
        return RECONNECT_SECONDS
    return PODMAN_RESYNC_SECONDS if observed.facts.engine_name == "Podman" else RESYNC_SECONDS


def find_fingerprint(client: EngineClient) -> int | None:
    """Return the fingerprint of the Swarm's tasks, or None if it cannot be read. The next request finds out whether the engine
    still answers."""
    try:
        with client.patience(LOOK_PATIENCE):
            return look_at_tasks(client)
    except EngineError:
        return None
