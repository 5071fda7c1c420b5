from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clusters.engine.snapshot import Snapshot
from clusters.models import Application
from clusters.tests.factories import ApplicationFactory, ServiceFactory
from triggers.images.history import CALLS_READ, complete_facts, list_image_calls, read_histories
from triggers.models import CallState
from triggers.selectors import has_redeploys
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 30, tzinfo=UTC)


def id_of(number):
    return f"sha256:{number:064x}"


def seen(**images):
    """Return a snapshot of services that run one image each, by its number."""
    services = {
        name: {"running": 1, "image": "app:1", "images": {id_of(number): 1}, "digests": [f"app@{id_of(number + 1000)}"]}
        for name, number in images.items()
    }
    return {"version": 1, "services": services}


def ended(application, number, before, after, state=CallState.SUCCEEDED, **more):
    moment = START + timedelta(minutes=number)
    times = {"queued_at": moment, "started_at": moment, "completed_at": moment + timedelta(seconds=9)}
    trigger = TriggerFactory(application=application)
    return TriggerCallFactory(trigger=trigger, state=state, before=before, after=after, **times, **more)


def numbers(entries):
    return [int(entry.image.image_id.removeprefix("sha256:"), 16) for entry in entries]


@pytest.fixture
def application():
    return ApplicationFactory()


def read(application):
    return read_histories(application.services.all(), list_image_calls(application))


def test_calls_and_the_inventory_make_one_history_without_repetitions(application):
    ServiceFactory(application=application, name="web", image_id=id_of(4), image_digests=[])
    first = ended(application, 1, seen(web=1), seen(web=2))
    ended(application, 2, seen(web=2), seen(web=2), CallState.ROLLED_BACK)
    third = ended(application, 3, seen(web=3), seen(web=3))  # 3 came without Windlass
    [newest, came, brought, oldest] = read(application)["web"]
    assert numbers([newest, came, brought, oldest]) == [4, 3, 2, 1]
    assert [entry.call for entry in (newest, came, brought, oldest)] == [None, None, first, None]
    assert (newest.is_current, newest.seen_at) == (True, None)
    assert (came.since, came.seen_at) == (None, third.started_at)
    assert (oldest.until, oldest.replaced_by) == (first.completed_at, first)


def test_what_a_failed_call_tried_is_no_image_that_ran(application):
    ServiceFactory(application=application, name="web", image_id=id_of(1))
    ended(application, 1, seen(web=1), seen(web=2), CallState.FAILED)
    assert numbers(read(application)["web"]) == [1]


def test_an_absent_service_runs_nothing_now(application):
    ServiceFactory(application=application, name="web", image_id=id_of(1), status="absent")
    ended(application, 1, seen(web=1), seen(web=2))
    assert [entry.is_current for entry in read(application)["web"]] == [False, False]


def test_few_calls_are_read_in_one_query(application, django_assert_num_queries):
    for number in range(3):
        ended(application, number, seen(web=number), seen(web=number + 1))
    ended(application, 9, None, None)
    with django_assert_num_queries(1):
        calls = list_image_calls(application)
        assert [str(call.trigger) for call in calls]
    assert [call.queued_at for call in calls] == sorted(call.queued_at for call in calls)
    assert len(calls) == 3
    assert CALLS_READ == 50


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL reads a table of few rows whole")
def test_many_scalings_are_not_read_for_few_redeploys(application):
    plans = []
    for rows in (lambda: list_image_calls(application), lambda: list(Application.objects.filter(has_redeploys("pk")))):
        with CaptureQueriesContext(connection) as queries:
            rows()
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {queries[0]['sql']}")
            plans.append(str(cursor.fetchall()))
    assert ["call_that_ran" in plan for plan in plans] == [True, True], plans


def test_an_odd_snapshot_breaks_nothing(application):
    ServiceFactory(application=application, name="web", image_id=id_of(1))
    ended(application, 1, {"services": {"web": {"images": "x", "digests": 5, "facts": []}}}, {"services": 3})
    assert numbers(read(application)["web"]) == [1]


def test_a_swarms_snapshot_gets_what_the_inventory_knows_of_the_same_image(application):
    facts = {"version": "1.4"}
    digests = {"image_id": "", "image_facts": facts}
    ServiceFactory(application=application, name="web", image_digests=[f"app@{id_of(1)}"], **digests)
    ServiceFactory(application=application, name="worker", image_digests=[f"app@{id_of(2)}"], **digests)
    services = {
        name: {"image": "app:1", "images": {id_of(1): 1}, "mode": "replicated"} for name in ("web", "worker", "unknown")
    }
    snapshot = complete_facts(Snapshot.from_json({"services": services}), application)
    assert {name: dict(service.facts) for name, service in snapshot.services.items()} == {
        "web": facts,
        "worker": {},
        "unknown": {},
    }
