"""What machines ask: /healthz, /readyz and /metrics, and the sums behind the last."""

import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError

from clusters import meters
from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineUnreachable
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from console.models import Process, Total
from console.telemetry import readiness, totals
from console.telemetry.metrics import render_metrics
from console.telemetry.readiness import Check
from console.telemetry.totals import Reporter, read_totals, store_totals
from triggers.calls import accept as calls
from triggers.calls.ending import report_ending
from triggers.calls.tests.test_accept import request_of
from triggers.hook.tests.test_views import PATH, link_parameters
from triggers.models import CallState
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

TOKEN = "a-token-for-prometheus"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing is counted yet, and no check is remembered."""
    meters.drain_counts()
    for name, examine in (
        ("database", readiness.check_database),
        ("migrations", readiness.check_migrations),
        ("broker", readiness.check_broker),
    ):
        monkeypatch.setitem(readiness.CHECKS, name, Check(examine))
    monkeypatch.setattr(readiness, "_migrated", False)


def samples():
    """Of what /metrics would tell now, by name and labels as they stand there."""
    store_totals()
    lines = [line for line in render_metrics().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


class TestReadiness:
    @pytest.fixture(autouse=True)
    def _readable(self, db):
        """The checks run in threads of their own, which read what was there before the test."""

    def test_a_console_whose_parts_answer_is_ready(self, client):
        response = client.get("/readyz")
        assert response.status_code == 200
        assert response.json() == {"ready": True, "checks": dict.fromkeys(("database", "migrations", "broker"), "ok")}
        assert "no-store" in response["Cache-Control"]

    def test_a_broker_that_is_away_is_named_without_its_address(self, client, monkeypatch):
        def refuse(**_):
            raise OperationalError("Error 111 connecting to redis://:hidden@queue.internal:6379")

        monkeypatch.setattr(readiness.app, "connection_for_write", refuse)
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["checks"]["database"] == "ok"
        assert "broker" in response.json()["checks"]["broker"]
        assert b"queue.internal" not in response.content
        assert b"hidden" not in response.content

    def test_a_queue_folder_that_is_gone_is_told(self, client, settings, tmp_path):
        settings.QUEUE_DIR = tmp_path / "gone"
        settings.BROKER_URL = "filesystem://"
        assert client.get("/readyz").status_code == 503

    def test_a_migration_that_is_missing_is_told(self, client, monkeypatch):
        monkeypatch.setattr(readiness.MigrationExecutor, "migration_plan", lambda self, targets: ["0099"])
        response = client.get("/readyz")
        assert response.status_code == 503
        assert "manage.py migrate" in response.json()["checks"]["migrations"]

    def test_a_database_that_is_away_is_told(self, client, monkeypatch):
        def refuse(*_):
            raise DatabaseError("connection to server at 10.0.0.7 failed")

        monkeypatch.setattr(readiness, "connection", SimpleNamespace(cursor=refuse, close=lambda: None))
        monkeypatch.setattr(readiness, "MigrationExecutor", refuse)
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["checks"]["database"] == "The database does not answer."
        assert b"10.0.0.7" not in response.content

    def test_a_check_that_hangs_is_told_and_not_started_twice(self):
        begun, go_on = [], threading.Event()

        def hang():
            begun.append(1)
            go_on.wait()
            return "ok"

        check = Check(hang)
        assert [check.ask(0.01)[:18], check.ask(0.01)[:18]] == ["It does not answer"] * 2
        go_on.set()
        assert check.ask(10) == "ok"
        assert begun == [1]

    def test_an_answer_holds_for_a_moment(self):
        asked = []
        check = Check(lambda: asked.append(1) or "ok")
        assert [check.ask(10) for _ in range(5)] == ["ok"] * 5
        assert asked == [1]


@pytest.mark.django_db
class TestAccess:
    def test_the_token_opens_it(self, client, settings):
        settings.METRICS_TOKEN = TOKEN
        response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200
        assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "windlass_queue_age_seconds 0" in response.content.decode()

    @pytest.mark.parametrize("header", ["", f"Bearer {TOKEN}x", "Bearer ", "Bearer é", f"Basic {TOKEN}", TOKEN])
    def test_without_it_a_token_is_asked_for(self, client, settings, header):
        settings.METRICS_TOKEN = TOKEN
        response = client.get("/metrics", headers={"Authorization": header} if header else {})
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
        assert b"windlass" not in response.content

    @pytest.mark.parametrize("header", ["", "Bearer ", f"Bearer {TOKEN}"])
    def test_where_there_is_none_nobody_without_an_account_finds_anything(self, client, header):
        assert client.get("/metrics", headers={"Authorization": header} if header else {}).status_code == 404

    def test_who_may_see_all_clusters_may_read_it(self, settings):
        settings.METRICS_TOKEN = TOKEN
        statuses = []
        for name, cluster in (("all", None), ("one", ClusterFactory())):
            client = Client()
            client.force_login(make_user(name, Role.VIEWER, cluster))
            statuses.append(client.get("/metrics").status_code)
        assert statuses == [200, 404]

    def test_a_database_that_is_away_is_a_503(self, client, settings, monkeypatch):
        def refuse():
            raise DatabaseError("away")

        settings.METRICS_TOKEN = TOKEN
        monkeypatch.setattr("console.telemetry.views.render_metrics", refuse)
        response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (response.status_code, response.content) == (503, b"The database does not answer.\n")


@pytest.mark.django_db
class TestMetrics:
    def test_the_way_of_a_link_is_counted(self, client, published):
        trigger = TriggerFactory()
        for _ in range(2):
            assert client.get(PATH, query_params=link_parameters(trigger)).status_code == 200
        client.get(PATH, query_params={**link_parameters(trigger), "secret": "0" * 64})
        found = samples()
        assert found['windlass_calls_ended_total{action="redeploy",state="coalesced",reason=""}'] == 1
        assert found['windlass_calls_active{state="queued"}'] == 1
        assert found['windlass_hook_requests_total{link="trigger",code="200"}'] == 2
        assert found['windlass_hook_requests_total{link="trigger",code="404"}'] == 1
        assert found['windlass_hook_ack_seconds_count{link="trigger"}'] == 3

    def test_a_caller_that_waits_does_not_lengthen_the_time_of_the_answer(self, client, published, monkeypatch):
        def wait(call_id, seconds):
            clock.append(1000.0)

        clock = [0.0]
        monkeypatch.setattr("console.telemetry.request_log.time.perf_counter", lambda: clock[-1])
        monkeypatch.setattr("triggers.hook.views.waiters.wait_for_end", wait)
        client.get(PATH, query_params={**link_parameters(TriggerFactory()), "wait": "60"})
        assert samples()['windlass_hook_ack_seconds_sum{link="trigger"}'] == 0

    def test_times_of_a_call_fall_into_their_buckets(self):
        now = timezone.now()
        times = {"queued_at": now - timedelta(seconds=40), "started_at": now - timedelta(seconds=30), "completed_at": now}
        call = TriggerCallFactory(state=CallState.FAILED, reason="exited", **times)
        report_ending(call)
        found = samples()
        assert found['windlass_calls_ended_total{action="redeploy",state="failed",reason="exited"}'] == 1
        run = 'windlass_call_run_seconds_bucket{action="redeploy",state="failed",le='
        assert [found[f'{run}"{bound}"}}'] for bound in ("10.0", "30.0", "+Inf")] == [0, 1, 1]
        assert found['windlass_call_wait_seconds_sum{action="redeploy"}'] == 10
        assert found['windlass_call_wait_seconds_bucket{action="redeploy",le="5.0"}'] == 0

    def test_sums_grow_over_processes_and_outlive_the_calls(self):
        for _ in range(2):  # as two processes would store theirs
            meters.CALLS_ENDED.add("stop", "succeeded", "")
            store_totals()
        calls.prune_calls()
        assert samples()['windlass_calls_ended_total{action="stop",state="succeeded",reason=""}'] == 2
        assert Total.objects.count() == 1

    def test_what_could_not_be_stored_is_stored_the_next_time(self, monkeypatch):
        def refuse(rows):
            raise DatabaseError("away")

        meters.CALLS_ENDED.add("stop", "succeeded", "")
        meters.CALL_RUN_SECONDS.observe(1.0, "stop", "succeeded")
        with monkeypatch.context() as broken:
            broken.setattr(totals, "_write_statement", refuse)
            with pytest.raises(DatabaseError):
                store_totals()
        found = samples()
        assert found['windlass_calls_ended_total{action="stop",state="succeeded",reason=""}'] == 1
        assert found['windlass_call_run_seconds_count{action="stop",state="succeeded"}'] == 1

    def test_a_label_takes_codes_alone(self):
        meters.CALLS_ENDED.add("redeploy", "failed", 'what an engine said: "no"\n')
        ((name, labels),) = meters.drain_counts()
        assert dict(labels) == {"action": "redeploy", "state": "failed", "reason": "other"}

    def test_the_queue_is_as_old_as_its_oldest_call(self):
        TriggerCallFactory(state=CallState.QUEUED, queued_at=timezone.now() - timedelta(minutes=2))
        TriggerCallFactory(state=CallState.QUEUED)
        found = samples()
        assert 120 <= found["windlass_queue_age_seconds"] < 180
        assert (found['windlass_calls_active{state="queued"}'], found['windlass_calls_active{state="running"}']) == (2, 0)

    def test_clusters_tell_their_age_and_engine_requests_under_any_name(self):
        cluster = ClusterFactory(name='the "north"\\', status="reachable", synced_at=timezone.now() - timedelta(seconds=90))
        ClusterFactory(name="lost", status="unreachable")
        meters.ENGINE_REQUESTS.add(cluster.uid, "failed")
        meters.ENGINE_REQUESTS.add("c" + "0" * 32, "ok")  # of one that is deleted
        found = samples()
        label = 'cluster="the \\"north\\"\\\\"'
        assert found[f"windlass_cluster_reachable{{{label}}}"] == 1
        assert found['windlass_cluster_reachable{cluster="lost"}'] == 0
        assert 90 <= found[f"windlass_cluster_sync_age_seconds{{{label}}}"] < 150
        assert found[f'windlass_engine_requests_total{{{label},outcome="failed"}}'] == 1
        assert not any("c000" in name for name in found)

    def test_an_engine_that_does_not_answer_is_counted(self, tmp_path):
        cluster = ClusterFactory(url=f"unix://{tmp_path}/none.sock")
        with pytest.raises(EngineUnreachable):
            EngineClient(cluster.endpoint)
        with pytest.raises(EngineUnreachable):
            EngineClient(EngineEndpoint(cluster.url))  # of no cluster, as when one is being added
        assert samples()[f'windlass_engine_requests_total{{cluster="{cluster.name}",outcome="unreachable"}}'] == 1

    def test_processes_are_told_while_they_are_heard_of(self):
        reporter = Reporter("worker")
        reporter.note_process()
        reporter.note_process()
        Reporter("worker").note_process()
        assert Process.objects.count() == 2
        found = samples()
        assert [found[f'windlass_processes{{part="{part}"}}'] for part in ("web", "worker", "watch")] == [0, 2, 0]
        assert found['windlass_processes_resident_memory_bytes{part="worker"}'] > 10_000_000
        Process.objects.update(seen_at=timezone.now() - totals.LOST_AFTER)
        assert samples()['windlass_processes{part="worker"}'] == 0
        reporter.forget_process()
        assert Process.objects.count() == 1

    def test_the_answering_process_tells_of_itself(self):
        found = samples()
        assert found["process_resident_memory_bytes"] > 10_000_000
        assert 0 <= timezone.now().timestamp() - found["process_start_time_seconds"] < 86_400
        assert found["process_open_fds"] > 0

    def test_it_costs_few_queries(self, client, settings, django_assert_num_queries):
        """Clusters, sums, calls, processes."""
        settings.METRICS_TOKEN = TOKEN
        TriggerCallFactory.create_batch(5, state=CallState.QUEUED)
        with django_assert_num_queries(4):
            client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.mark.django_db(transaction=True)
def test_processes_that_store_at_once_lose_nothing():
    def count():
        try:
            for _ in range(20):
                meters.CALLS_ENDED.add("redeploy", "failed", "lost")
                meters.CALL_RUN_SECONDS.observe(1.0, "redeploy", "failed")
                store_totals()
        finally:
            totals.connection.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store_totals()
    found = {(name, dict(labels).get("le")): value for (name, labels), value in read_totals().items()}
    assert found["windlass_calls_ended_total", None] == 80
    assert found["windlass_call_run_seconds_bucket", "+Inf"] == 80


@pytest.mark.django_db(transaction=True)
def test_a_reporter_stores_what_is_counted_when_its_process_ends():
    meters.CALLS_ENDED.add("redeploy", "failed", "lost")
    with totals.reporting("watch"):
        pass
    assert list(read_totals().values()) == [1]
    assert not Process.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_call_that_ends_is_counted_once_with_those_merged_into_it(published):
    trigger = TriggerFactory()
    call = calls.accept_call(request_of(trigger))
    claimed = calls.claim_call(call.application_id, "me")
    TriggerCallFactory(application=trigger.application, state=CallState.RUNNING, merged_into=claimed, started_at=timezone.now())
    calls.finish_call(claimed, "me", CallState.SUCCEEDED, "", "Done.")
    assert samples()['windlass_calls_ended_total{action="redeploy",state="succeeded",reason=""}'] == 2
