"""The made-up fleet: as large as asked for, coherent, in an empty database alone; and every page shows it."""

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import Count, F
from django.test import Client
from django.utils import timezone

from clusters.models import Application, AuditEntry, Cluster, ClusterGrant, Container, Node, Service, Task
from clusters.tests.factories import ClusterFactory
from console.fleet.people import ADMINISTRATOR, PART_DEPLOYER
from console.fleet.rows import share
from triggers.models import CallState, Delivery, DeliveryLine, ImageSubscription, Trigger, TriggerCall, TriggerCallEvent

pytestmark = pytest.mark.django_db

SIZES = {
    "clusters": 4,
    "nodes": 7,
    "applications": 12,
    "services": 30,
    "containers": 90,
    "tasks": 40,
    "triggers": 25,
    "calls": 400,
    "calls_with_events": 60,
    "audit_entries": 50,
    "deliveries": 30,
    "users": 9,
}
MODELS = {
    "clusters": Cluster,
    "nodes": Node,
    "applications": Application,
    "services": Service,
    "containers": Container,
    "tasks": Task,
    "triggers": Trigger,
    "calls": TriggerCall,
    "audit_entries": AuditEntry,
    "deliveries": Delivery,
    "users": User,
}


def fill(**sizes):
    call_command("fill_database", verbosity=0, **SIZES | sizes)


def test_it_has_the_requested_size_and_is_coherent():
    fill()
    assert {name: model.objects.count() for name, model in MODELS.items()} == {name: SIZES[name] for name in MODELS}
    assert TriggerCallEvent.objects.values("call").distinct().count() <= SIZES["calls_with_events"]
    assert TriggerCallEvent.objects.exists()
    assert {state for state, _ in CallState.choices} == set(TriggerCall.objects.values_list("state", flat=True))
    for service in Service.objects.annotate(number=Count("containers")).exclude(application__cluster__swarm_manager=True):
        assert service.number == service.replicas
    assert not Service.objects.filter(running__gt=F("replicas")).exists()
    assert not TriggerCall.objects.filter(queued_at__gt=timezone.now()).exists()
    assert DeliveryLine.objects.values("delivery").distinct().count() == SIZES["deliveries"]
    assert ImageSubscription.objects.count() == Trigger.objects.filter(action="redeploy").count()
    assert not TriggerCall.objects.filter(coalesced_into__queued_at__gt=F("queued_at")).exists()
    assert not TriggerCall.objects.filter(state=CallState.COALESCED, coalesced_into=None).exists()
    part = User.objects.get(username=PART_DEPLOYER)
    assert ClusterGrant.objects.filter(user=part).exists()
    assert not part.get_all_permissions()
    assert not any(user.has_usable_password() for user in User.objects.all())


def test_the_same_seed_makes_the_same_fleet_and_another_one_another():
    def names(seed):
        fill(seed=seed, calls=20)
        found = list(Container.objects.order_by("pk").values_list("name", "container_id"))
        for model in (Cluster, User, AuditEntry, Delivery):
            model.objects.all().delete()
        return found

    assert names(1) == names(1) != names(2)


def test_a_database_that_holds_clusters_is_refused():
    ClusterFactory()
    with pytest.raises(CommandError, match="already has clusters, so nothing was written"):
        fill()
    assert not TriggerCall.objects.exists()


@pytest.mark.parametrize("sizes", [{"clusters": 0}, {"applications": 3}, {"services": 11}, {"users": 1}])
def test_sizes_that_cannot_be_are_refused(sizes):
    with pytest.raises(CommandError, match="Give at least"):
        fill(**sizes)
    assert not Cluster.objects.exists()


def test_the_smallest_fleet_can_be_made():
    small = dict.fromkeys(SIZES, 0) | {"clusters": 1, "applications": 1, "services": 1, "users": 2}
    fill(**small)
    assert Service.objects.get().replicas == 0


@pytest.mark.parametrize("name", [ADMINISTRATOR, PART_DEPLOYER])
def test_the_pages_show_it(name):
    fill()
    client = Client()
    client.force_login(User.objects.get(username=name))
    service = Service.objects.filter(application__cluster__in=ClusterGrant.objects.values("cluster")).first()
    for address in ("/", "/applications/", "/triggers/", "/activity/", "/nodes/", f"/services/{service.pk}/"):
        assert client.get(address).status_code in (200, 404), address
    assert client.get("/").context["most_called"]


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [(10, [1, 1], [5, 5]), (3, [9, 1, 0], [2, 1, 0]), (1, [1, 1], [1, 0]), (0, [1, 2], [0, 0]), (5, [], [])],
)
def test_a_total_is_shared_out_whole(total, weights, shares):
    assert share(total, weights) == shares
