"""The watcher on a real engine: rows follow what happens. A lost engine is reported with its reason, and recovers by itself."""

import os
import threading
import time

import pytest
from django.db import OperationalError

from clusters import inventory, watch
from clusters.models import Application, Cluster, Container, Lease
from clusters.tests.factories import ClusterFactory
from clusters.watch import run_watcher
from tests.harness.engine import run_engine, start_engine, stop_engine
from tests.harness.eventually import eventually
from tests.harness.images import BASE, SERVE, create_base_image
from tests.harness.projects import DEFAULT_BRIDGE, create_container, read_ids

pytestmark = pytest.mark.django_db(transaction=True)

NO_SOCKET = "there is no such socket. Check that Docker is running there."
PROMPTLY = 10.0  # seconds: long before the next full resync, so an event brought it


@pytest.fixture
def watcher(transactional_db):
    """Provide a watcher for the duration of the test. Calling it starts it."""
    stop = threading.Event()
    thread = threading.Thread(target=run_watcher, args=(stop,), name="watcher")
    yield thread.start
    stop.set()
    if thread.ident:
        thread.join(5)
        assert not thread.is_alive()


@pytest.fixture
def cluster(transactional_db, engine):
    return ClusterFactory(url=engine.endpoint_url, status=Cluster.Status.UNKNOWN)


@pytest.fixture
def syncs(monkeypatch):
    """Record the times of the stored observations."""
    times = []
    store = inventory.store_observation

    def note(*arguments):
        times.append(time.monotonic())
        return store(*arguments)

    monkeypatch.setattr(inventory, "store_observation", note)
    return times


def status_of(cluster):
    return Cluster.objects.values_list("status", "status_reason").get(pk=cluster.pk)


def is_reachable(cluster):
    return status_of(cluster) == ("reachable", "")


def state_of(name):
    return Container.objects.filter(name=name).values_list("state", flat=True).first()


def test_rows_follow_a_containers_events(cluster, api, watcher):
    watcher()
    eventually(lambda: is_reachable(cluster))

    create_container(api, "redis", BASE, Cmd=SERVE)
    eventually(lambda: state_of("redis") == "running", within=PROMPTLY)
    api.pause("redis")
    eventually(lambda: state_of("redis") == "paused", within=PROMPTLY)
    api.unpause("redis")
    eventually(lambda: state_of("redis") == "running", within=PROMPTLY)
    api.stop("redis")
    eventually(lambda: state_of("redis") == "exited", within=PROMPTLY)
    eventually(lambda: Application.objects.get(name="redis").status == "stopped", within=PROMPTLY)
    api.rename("redis", "cache")
    eventually(lambda: state_of("cache") == "exited", within=PROMPTLY)
    api.remove_container("cache")
    eventually(lambda: not Application.objects.exists(), within=PROMPTLY)


def test_a_new_network_address_shows(cluster, api, watcher):
    create_container(api, "redis", BASE, Cmd=SERVE, HostConfig=DEFAULT_BRIDGE)
    network = api.create_network("backend")["Id"]
    watcher()
    eventually(lambda: state_of("redis") == "running")
    api.connect_container_to_network("redis", network)
    eventually(lambda: "backend" in Container.objects.get().addresses, within=PROMPTLY)


def test_a_burst_of_events_leads_to_few_syncs(cluster, api, watcher, syncs):
    create_container(api, "busy", BASE, start=False, Cmd=["/bin/true"])
    busy = read_ids(api)["busy"]
    watcher()
    eventually(lambda: state_of("busy"))
    began, before = time.monotonic(), len(syncs)
    for number in range(500):
        api.rename(busy, f"busy{number}")
    eventually(lambda: state_of("busy499"), within=PROMPTLY)
    took = time.monotonic() - began
    assert len(syncs) - before <= took / watch.DEBOUNCE_SECONDS + 2


def test_an_engine_at_rest_is_left_at_rest(cluster, api, watcher, syncs, monkeypatch):
    monkeypatch.setattr(watch, "LISTEN_SECONDS", 0.5)
    watcher()
    eventually(lambda: is_reachable(cluster))
    used = time.process_time()
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > 3)
    assert len(syncs) == 1
    assert time.process_time() - used < 1


def test_a_full_resync_is_made_without_any_event(cluster, api, watcher, syncs, monkeypatch):
    monkeypatch.setattr(watch, "LISTEN_SECONDS", 0.2)
    monkeypatch.setattr(watch, "RESYNC_SECONDS", 0.4)
    watcher()
    eventually(lambda: len(syncs) >= 3)


def test_a_killed_engine_is_unreachable_with_the_reason_and_comes_back(transactional_db, watcher):
    with run_engine() as own:
        with own.connect() as api:
            create_base_image(api)
            create_container(api, "redis", BASE, start=False, Cmd=SERVE)
        cluster = ClusterFactory(url=own.endpoint_url, status=Cluster.Status.UNKNOWN)
        watcher()
        eventually(lambda: is_reachable(cluster))

        stop_engine(own)
        reason = f"The engine at {own.folder}/docker.sock does not answer: {NO_SOCKET}"
        eventually(lambda: status_of(cluster) == ("unreachable", reason))
        assert state_of("redis") == "created"

        own.folder.mkdir()
        start_engine(own)
        eventually(lambda: is_reachable(cluster), within=watch.RETRY_SECONDS[-1] + 3)
        eventually(lambda: not Application.objects.exists())  # the new engine is empty


def test_an_engine_that_never_answered_is_told_and_found_later(transactional_db, watcher, engine, tmp_path):
    socket = tmp_path / "docker.sock"
    cluster = ClusterFactory(url=f"unix://{socket}", status=Cluster.Status.UNKNOWN)
    watcher()
    eventually(lambda: status_of(cluster) == ("unreachable", f"The engine at {socket} does not answer: {NO_SOCKET}"))
    os.symlink(f"{engine.folder}/docker.sock", socket)
    eventually(lambda: is_reachable(cluster))


def test_clusters_that_are_added_changed_and_deleted_are_noticed(engine, api, watcher, transactional_db):
    create_container(api, "redis", BASE, start=False, Cmd=SERVE)
    watcher()
    cluster = ClusterFactory(url="unix:///nowhere/docker.sock", status=Cluster.Status.UNKNOWN)
    eventually(lambda: status_of(cluster)[0] == "unreachable", within=4)
    Cluster.objects.filter(pk=cluster.pk).update(url=engine.endpoint_url)
    eventually(lambda: is_reachable(cluster) and state_of("redis"), within=4)
    Cluster.objects.get(pk=cluster.pk).delete()
    eventually(lambda: not [t for t in threading.enumerate() if t.name == f"watch-{cluster.name}"], within=4)


def test_a_failing_database_stops_nothing(cluster, api, watcher, monkeypatch):
    store = inventory.store_observation
    failures = iter(range(3))

    def fail_at_first(*arguments):
        if next(failures, None) is not None:
            raise OperationalError("database is locked")
        return store(*arguments)

    monkeypatch.setattr(inventory, "store_observation", fail_at_first)
    watcher()
    eventually(lambda: is_reachable(cluster))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_replaced(cluster, api, watcher, monkeypatch):
    observe = watch.observe_and_store
    faults = iter(range(1))

    def break_at_first(*arguments):
        if next(faults, None) is not None:
            raise RuntimeError("a fault in the watch itself")
        return observe(*arguments)

    monkeypatch.setattr(watch, "observe_and_store", break_at_first)
    watcher()
    eventually(lambda: is_reachable(cluster))


def test_stopping_wakes_a_watch_that_listens_and_lets_others_take_over_at_once(cluster, api):
    stop = threading.Event()
    thread = threading.Thread(target=run_watcher, args=(stop,))
    thread.start()
    eventually(lambda: is_reachable(cluster))
    stop.set()
    thread.join(watch.LISTEN_SECONDS / 2)
    assert not thread.is_alive()
    assert not [t for t in threading.enumerate() if t.name.startswith("watch-")]
    assert not Lease.objects.exists()
