"""The values of /metrics."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters import meters
from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineUnreachable
from clusters.tests.factories import ClusterFactory
from console.models import Process
from console.telemetry import totals
from console.telemetry.tests.samples import read_samples
from console.telemetry.totals import Reporter
from triggers.calls.accept import accept_call
from triggers.calls.ending import report_ending
from triggers.models import CallState
from triggers.run.claim import claim_call
from triggers.run.results import finish_call
from triggers.tests.calling import PATH, link_parameters, request_of
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


def test_the_way_of_a_link_is_counted(client, published):
    trigger = TriggerFactory()
    for _ in range(2):
        assert client.get(PATH, query_params=link_parameters(trigger)).status_code == 200
    client.get(PATH, query_params={**link_parameters(trigger), "secret": "0" * 64})
    found = read_samples()
    assert found['windlass_calls_ended_total{action="redeploy",state="coalesced",reason=""}'] == 1
    assert found['windlass_calls_active{state="queued"}'] == 1
    assert found['windlass_hook_requests_total{link="trigger",code="200"}'] == 2
    assert found['windlass_hook_requests_total{link="trigger",code="404"}'] == 1
    assert found['windlass_hook_ack_seconds_count{link="trigger"}'] == 3


def test_a_caller_that_waits_does_not_lengthen_the_time_of_the_answer(client, published, monkeypatch):
    def wait(call_id, seconds, **_):
        clock.append(1000.0)

    clock = [0.0]
    monkeypatch.setattr("console.telemetry.request_log.time.perf_counter", lambda: clock[-1])
    monkeypatch.setattr("triggers.hook.waiting.waiters.wait_for_end", wait)
    client.get(PATH, query_params={**link_parameters(TriggerFactory()), "wait": "60"})
    assert read_samples()['windlass_hook_ack_seconds_sum{link="trigger"}'] == 0


def test_times_of_a_call_fall_into_their_buckets():
    now = timezone.now()
    times = {"queued_at": now - timedelta(seconds=40), "started_at": now - timedelta(seconds=30), "completed_at": now}
    call = TriggerCallFactory(state=CallState.FAILED, reason="exited", **times)
    report_ending(call)
    found = read_samples()
    assert found['windlass_calls_ended_total{action="redeploy",state="failed",reason="exited"}'] == 1
    run = 'windlass_call_run_seconds_bucket{action="redeploy",state="failed",le='
    assert [found[f'{run}"{bound}"}}'] for bound in ("10.0", "30.0", "+Inf")] == [0, 1, 1]
    assert found['windlass_call_wait_seconds_sum{action="redeploy"}'] == 10
    assert found['windlass_call_wait_seconds_bucket{action="redeploy",le="5.0"}'] == 0


def test_a_label_takes_codes_alone():
    meters.CALLS_ENDED.add("redeploy", "failed", 'what an engine said: "no"\n')
    ((name, labels),) = meters.drain_counts()
    assert dict(labels) == {"action": "redeploy", "state": "failed", "reason": "other"}


def test_the_queue_is_as_old_as_its_oldest_call():
    TriggerCallFactory(state=CallState.QUEUED, queued_at=timezone.now() - timedelta(minutes=2))
    TriggerCallFactory(state=CallState.QUEUED)
    found = read_samples()
    assert 120 <= found["windlass_queue_age_seconds"] < 180
    assert (found['windlass_calls_active{state="queued"}'], found['windlass_calls_active{state="running"}']) == (2, 0)


def test_what_a_freeze_window_holds_back_makes_the_queue_no_older():
    now = timezone.now()
    TriggerCallFactory(state=CallState.QUEUED, queued_at=now - timedelta(days=2), held_until=now + timedelta(hours=1))
    found = read_samples()
    assert (found["windlass_queue_age_seconds"], found['windlass_calls_active{state="queued"}']) == (0, 1)


def test_clusters_show_their_age_and_engine_requests_under_any_name():
    cluster = ClusterFactory(name='the "north"\\', status="reachable", synced_at=timezone.now() - timedelta(seconds=90))
    ClusterFactory(name="lost", status="unreachable")
    meters.ENGINE_REQUESTS.add(cluster.uid, "failed")
    meters.ENGINE_REQUESTS.add("c" + "0" * 32, "ok")  # of one that is deleted
    found = read_samples()
    label = 'cluster="the \\"north\\"\\\\"'
    assert found[f"windlass_cluster_reachable{{{label}}}"] == 1
    assert found['windlass_cluster_reachable{cluster="lost"}'] == 0
    assert 90 <= found[f"windlass_cluster_sync_age_seconds{{{label}}}"] < 150
    assert found[f'windlass_engine_requests_total{{{label},outcome="failed"}}'] == 1
    assert not any("c000" in name for name in found)


def test_an_engine_that_does_not_answer_is_counted(tmp_path):
    cluster = ClusterFactory(url=f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineUnreachable):
        EngineClient(cluster.endpoint)
    with pytest.raises(EngineUnreachable):
        EngineClient(EngineEndpoint(cluster.url))  # of no cluster, as when one is being added
    assert read_samples()[f'windlass_engine_requests_total{{cluster="{cluster.name}",outcome="unreachable"}}'] == 1


def test_processes_are_listed_while_they_report():
    reporter = Reporter("worker")
    reporter.note_process()
    reporter.note_process()
    Reporter("worker").note_process()
    assert Process.objects.count() == 2
    found = read_samples()
    assert [found[f'windlass_processes{{part="{part}"}}'] for part in ("web", "worker", "watch")] == [0, 2, 0]
    assert found['windlass_processes_resident_memory_bytes{part="worker"}'] > 10_000_000
    Process.objects.update(seen_at=timezone.now() - totals.LOST_AFTER)
    assert read_samples()['windlass_processes{part="worker"}'] == 0
    reporter.forget_process()
    assert Process.objects.count() == 1


def test_the_answering_process_reports_itself():
    found = read_samples()
    assert found["process_resident_memory_bytes"] > 10_000_000
    assert 0 <= timezone.now().timestamp() - found["process_start_time_seconds"] < 86_400
    assert found["process_open_fds"] > 0


@pytest.mark.django_db(transaction=True)
def test_a_call_that_ends_is_counted_once_with_those_merged_into_it(published):
    trigger = TriggerFactory()
    call = accept_call(request_of(trigger))
    claimed = claim_call(call.application_id, "me")
    TriggerCallFactory(application=trigger.application, state=CallState.RUNNING, merged_into=claimed, started_at=timezone.now())
    finish_call(claimed, "me", CallState.SUCCEEDED, "", "Done.")
    assert read_samples()['windlass_calls_ended_total{action="redeploy",state="succeeded",reason=""}'] == 2
