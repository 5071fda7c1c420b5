"""Which of several watchers watches a cluster. tests/integration/test_watch.py covers watching on real engines."""

from datetime import timedelta

import pytest

from clusters.models import Cluster, Lease
from clusters.tests.clock import move_database_clock
from clusters.tests.factories import ClusterFactory
from clusters.watch import Roster

pytestmark = pytest.mark.django_db


def test_a_watcher_claims_what_no_other_watches_and_hands_over_when_it_stops():
    first, second = ClusterFactory(), ClusterFactory()
    one, two = Roster(), Roster()
    assert one.claim_clusters() == {first.pk: first, second.pk: second}
    third = ClusterFactory()
    assert two.claim_clusters() == {third.pk: third}
    one.release_clusters()
    assert two.claim_clusters().keys() == {first.pk, second.pk, third.pk}


def test_the_clusters_of_a_lost_watcher_are_taken_over_when_its_leases_expire(settings):
    cluster = ClusterFactory()
    lost, other = Roster(), Roster()
    lost.claim_clusters()
    assert other.claim_clusters() == {}
    move_database_clock(timedelta(seconds=settings.CALL_LEASE_SECONDS))
    assert other.claim_clusters() == {cluster.pk: cluster}
    assert lost.claim_clusters() == {}  # in case it is alive after all


def test_the_lease_of_a_deleted_cluster_is_released():
    ClusterFactory()
    roster = Roster()
    roster.claim_clusters()
    Cluster.objects.all().delete()
    assert roster.claim_clusters() == {}
    assert not Lease.objects.exists()
