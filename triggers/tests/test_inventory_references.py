"""Rows that triggers and calls refer to stay in the inventory as absent, and become present again as the same row."""

import pytest
from django.utils import timezone

from clusters.engine.inspection.tests.recorded import RecordedEngine, compose_entry
from clusters.inventory import observe_and_store
from clusters.models import Application, Service
from clusters.tests.factories import ClusterFactory
from triggers.models import Trigger, TriggerCall
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster():
    return ClusterFactory()


def observe(cluster, *containers):
    observe_and_store(cluster, RecordedEngine(*containers))


def test_an_application_with_a_trigger_stays_as_absent_and_comes_back(cluster):
    observe(cluster, compose_entry("shop", "web"), compose_entry("shop", "db"))
    application = Application.objects.get()
    trigger = TriggerFactory(application=application)

    observe(cluster)
    application.refresh_from_db()
    assert (application.status, application.wanted, application.running) == ("absent", 0, 0)
    assert not Service.objects.exists()

    observe(cluster, compose_entry("shop", "web", Id="b" * 64))
    trigger.refresh_from_db()
    assert (trigger.application.pk, trigger.application.status) == (application.pk, "running")


def test_a_service_with_a_trigger_stays_as_absent_beside_its_siblings(cluster):
    observe(cluster, compose_entry("shop", "web"), compose_entry("shop", "db"))
    web = Service.objects.get(name="web")
    ScalingTriggerFactory(application=web.application, service=web)

    observe(cluster, compose_entry("shop", "db"))
    web.refresh_from_db()
    assert (web.status, web.replicas, web.running, web.image) == ("absent", 0, 0, "app:1")
    assert Application.objects.get().status == "running"

    observe(cluster)
    assert set(Service.objects.values_list("name", "status")) == {("web", "absent")}
    assert Application.objects.get().status == "absent"


def test_a_call_keeps_its_application(cluster):
    observe(cluster, compose_entry("shop", "web"))
    call = TriggerCall.objects.create(
        application=Application.objects.get(), action="redeploy", source="console", queued_at=timezone.now()
    )
    observe(cluster)
    assert TriggerCall.objects.get().application_id == call.application_id


def test_absent_rows_are_deleted_once_nothing_refers_to_them(cluster):
    observe(cluster, compose_entry("shop", "web"))
    web = Service.objects.get()
    trigger = ScalingTriggerFactory(application=web.application, service=web)
    TriggerCallFactory(trigger=trigger)
    observe(cluster)

    Trigger.objects.all().delete()
    observe(cluster)
    assert Application.objects.get().status == "absent"

    TriggerCall.objects.all().delete()
    observe(cluster)
    assert not Application.objects.exists()


def test_pruning_never_deletes_a_trigger_or_a_call(cluster):
    observe(cluster, *(compose_entry(f"shop{n}", "web") for n in range(4)))
    for application in Application.objects.filter(name__in=["shop0", "shop1"]):
        TriggerCallFactory(trigger=TriggerFactory(application=application))
    observe(cluster)
    assert list(Application.objects.values_list("name", "status")) == [("shop0", "absent"), ("shop1", "absent")]
    assert (Trigger.objects.count(), TriggerCall.objects.count()) == (2, 2)
