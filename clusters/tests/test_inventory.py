from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters import inventory
from clusters.engine.errors import EngineUnreachable
from clusters.engine.inspection.listing import observe_engine
from clusters.engine.inspection.tests.recorded import IMAGE, RecordedEngine, compose_entry, entry
from clusters.inventory import mark_unreachable, observe_and_store, store_observation, sync_cluster
from clusters.models import Application, Cluster, Container, Service
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ServiceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster():
    return ClusterFactory(status=Cluster.Status.UNKNOWN, api_version="", engine_version="")


def rows(model, *fields):
    return list(model.objects.order_by("pk").values_list(*fields))


def test_an_observation_becomes_rows(cluster):
    observe_and_store(cluster, RecordedEngine(compose_entry("shop", "web", 1), compose_entry("shop", "web", 2, State="exited")))
    assert rows(Application, "source", "name", "status", "wanted", "running") == [("compose", "shop", "degraded", 2, 1)]
    assert rows(Service, "name", "replicas", "running", "image", "image_id", "image_digests") == [
        ("web", 2, 1, "app:1", IMAGE, ["app@sha256:ab"])
    ]
    assert rows(Container, "name", "state") == [("shop_web_1", "running"), ("shop_web_2", "exited")]
    cluster.refresh_from_db()
    assert (cluster.status, cluster.engine_version, cluster.api_version) == ("reachable", "20.10.24", "1.41")
    assert cluster.synced_at


def test_rows_keep_their_ids_when_containers_are_replaced(cluster):
    observe_and_store(cluster, RecordedEngine(compose_entry("shop", "web", Id="a" * 64)))
    before = rows(Application, "pk"), rows(Service, "pk")
    observe_and_store(cluster, RecordedEngine(compose_entry("shop", "web", Id="b" * 64, Image="app:2")))
    assert (rows(Application, "pk"), rows(Service, "pk")) == before
    assert rows(Container, "container_id") == [("b" * 64,)]
    assert rows(Service, "image") == [("app:2",)]


def test_absent_rows_that_nothing_refers_to_are_deleted(cluster):
    observe_and_store(cluster, RecordedEngine(entry("redis"), compose_entry("shop", "web"), compose_entry("shop", "db")))
    observe_and_store(cluster, RecordedEngine(compose_entry("shop", "web")))
    assert rows(Application, "name") == [("shop",)]
    assert rows(Service, "name") == [("web",)]
    assert rows(Container, "name") == [("shop_web_1",)]


def test_a_container_that_moved_between_services_is_moved(cluster):
    observe_and_store(cluster, RecordedEngine(entry("redis", Id="a" * 64)))
    observe_and_store(cluster, RecordedEngine(entry("redis-renamed", Id="a" * 64)))
    assert rows(Container, "name", "service__name") == [("redis-renamed", "redis-renamed")]


def test_other_clusters_rows_are_left_alone(cluster):
    other = ServiceFactory()
    observe_and_store(cluster, RecordedEngine(entry("redis")))
    observe_and_store(cluster, RecordedEngine())
    assert rows(Service, "pk") == [(other.pk,)]


def test_only_what_changed_is_written(cluster):
    engine = RecordedEngine(entry("a"), entry("b"))
    observe_and_store(cluster, engine)
    with CaptureQueriesContext(connection) as queries:
        observe_and_store(cluster, engine)
    written = [query["sql"].split('"')[1] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert written == ["clusters_cluster"]

    engine.containers[1]["Status"] = "Up 3 minutes (unhealthy)"
    with CaptureQueriesContext(connection) as queries:
        observe_and_store(cluster, engine)
    written = [query["sql"].split('"')[1] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert written == ["clusters_cluster", "clusters_application", "clusters_service", "clusters_container"]
    assert rows(Application, "name", "status") == [("a", "running"), ("b", "degraded")]


def test_the_number_of_queries_does_not_grow_with_the_engine(cluster):
    def count(entries):
        with CaptureQueriesContext(connection) as queries:
            observe_and_store(cluster, RecordedEngine(*entries))
        return len(queries)

    few = [compose_entry(f"p{n}", "web") for n in range(2)]
    many = [compose_entry(f"p{n}", "web") for n in range(40)]
    added, removed = count(few), count([])
    assert (count(many), count([])) == (added, removed)
    assert added == 14
    assert rows(Application, "pk") == []


def test_three_hundred_containers_are_written_and_all_changed(cluster):
    engine = RecordedEngine(*(compose_entry(f"p{n % 60}", f"s{n % 3}", n) for n in range(300)))
    observe_and_store(cluster, engine)
    assert Container.objects.count() == 300
    for container in engine.containers:
        container["Status"] = "Up 4 minutes"
    observe_and_store(cluster, engine)
    assert set(rows(Container, "status_text")) == {("Up 4 minutes",)}


# Two processes at once


def test_an_older_observation_does_not_overwrite_a_newer_one(cluster):
    began_earlier = timezone.now()
    older = observe_engine(RecordedEngine(entry("redis", State="exited")))
    observe_and_store(cluster, RecordedEngine(entry("redis")))
    assert store_observation(cluster, older, began_earlier) is False
    assert rows(Application, "name", "status") == [("redis", "running")]


def test_a_clock_set_back_blocks_nothing(cluster):
    observed = observe_engine(RecordedEngine(entry("redis")))
    assert store_observation(cluster, observed, timezone.now() + timedelta(hours=1))
    assert store_observation(cluster, observe_engine(RecordedEngine()), timezone.now())
    assert rows(Application, "name") == []


def test_a_cluster_deleted_meanwhile_is_no_error(cluster):
    observed = observe_engine(RecordedEngine(entry("redis")))
    Cluster.objects.filter(pk=cluster.pk).delete()
    assert store_observation(cluster, observed, timezone.now()) is False
    assert rows(Application, "name") == []


def test_a_failing_write_leaves_the_rows_as_they_were(cluster, monkeypatch):
    observe_and_store(cluster, RecordedEngine(entry("redis")))
    synced_at = Cluster.objects.get(pk=cluster.pk).synced_at
    monkeypatch.setattr(inventory, "store_containers", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        observe_and_store(cluster, RecordedEngine(entry("web")))
    assert rows(Application, "name") == [("redis",)]
    assert Cluster.objects.get(pk=cluster.pk).synced_at == synced_at


# Lost engines


def test_a_lost_engine_is_marked_with_the_reason_and_keeps_its_rows(cluster, monkeypatch):
    observe_and_store(cluster, RecordedEngine(entry("redis")))

    def refuse(*_, **__):
        raise EngineUnreachable("The engine does not answer: Connection refused.")

    monkeypatch.setattr(inventory, "EngineClient", refuse)
    with pytest.raises(EngineUnreachable):
        sync_cluster(cluster)
    cluster.refresh_from_db()
    assert (cluster.status, cluster.status_reason) == ("unreachable", "The engine does not answer: Connection refused.")
    assert rows(Application, "name", "status") == [("redis", "running")]


def test_an_engine_that_answers_again_is_reachable(cluster):
    mark_unreachable(cluster, "The engine does not answer: Connection refused.")
    lost_at = Cluster.objects.get(pk=cluster.pk).status_changed_at
    observe_and_store(cluster, RecordedEngine())
    cluster.refresh_from_db()
    assert (cluster.status, cluster.status_reason) == ("reachable", "")
    assert cluster.status_changed_at > lost_at


def test_the_time_of_a_loss_is_that_of_its_first_report(cluster):
    mark_unreachable(cluster, "Connection refused.")
    first = Cluster.objects.get(pk=cluster.pk).status_changed_at
    mark_unreachable(cluster, "timed out " * 100)
    cluster.refresh_from_db()
    assert cluster.status_changed_at == first
    assert cluster.status_reason == ("timed out " * 100)[:500]


def test_a_sync_opens_no_transaction_while_it_talks_to_the_engine(cluster, monkeypatch, django_db_blocker):
    depth = len(connection.savepoint_ids)

    class WatchfulEngine(RecordedEngine):
        def info(self):
            assert len(connection.savepoint_ids) == depth
            return super().info()

    @contextmanager
    def connect(*_, **__):
        yield WatchfulEngine(entry("redis"))

    monkeypatch.setattr(inventory, "EngineClient", connect)
    sync_cluster(cluster)
    assert rows(Application, "name") == [("redis",)]


def test_an_application_that_was_absent_comes_back_as_the_same_row(cluster):
    absent = ApplicationFactory(cluster=cluster, name="shop", status=Application.Status.ABSENT, wanted=0, running=0)
    ServiceFactory(application=absent, name="web", status=Application.Status.ABSENT)
    observe_and_store(cluster, RecordedEngine(compose_entry("shop", "web")))
    assert rows(Application, "pk", "status") == [(absent.pk, "running")]
