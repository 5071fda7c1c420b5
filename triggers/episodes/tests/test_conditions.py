"""Clusters that do not answer, and containers and tasks that keep failing, are news once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Application, Cluster
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ContainerFactory, ServiceFactory
from triggers.episodes.conditions import ApplicationFailing, ClusterAway
from triggers.episodes.tracking import follow
from triggers.models import CallState, News, Notification, NotificationChannel, NotificationRule
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db
STEP = timedelta(seconds=15)


@pytest.fixture(autouse=True)
def channel():
    """A channel that wants all news of everything."""
    made = NotificationChannel.objects.create(name="duty", kind="webhook")
    NotificationRule.objects.bulk_create(NotificationRule(channel=made, news=news) for news in News.values if news != "test")
    return made


@pytest.fixture
def clock():
    """Looks at a condition every quarter of a minute, for some minutes."""
    now = [timezone.now()]

    def look(condition, minutes):
        for _ in range(int(minutes * 4)):
            now[0] += STEP
            follow(condition, now[0])

    return look


def list_news():
    return [(news.news, news.facts["sentence"]) for news in Notification.objects.order_by("pk")]


def lose(cluster):
    since = timezone.now().replace(year=2026, month=1, day=2, hour=3, minute=4)
    Cluster.objects.filter(pk=cluster.pk).update(
        status="unreachable", status_reason="Connection refused.", status_changed_at=since
    )


class TestClusters:
    @pytest.fixture
    def cluster(self):
        return ClusterFactory(name="harbour", status="reachable")

    def test_three_minutes_away_and_back(self, cluster, clock):
        lose(cluster)
        clock(ClusterAway(), 2.5)
        assert list_news() == []
        clock(ClusterAway(), 5)
        away = ("cluster_away", "harbour has not answered since 2026-01-02 03:04 UTC. Connection refused.")
        assert list_news() == [away]
        Cluster.objects.update(status="reachable", status_reason="")
        clock(ClusterAway(), 1)
        assert list_news() == [away, ("cluster_back", "harbour answers again.")]
        assert {news.cluster_id for news in Notification.objects.all()} == {cluster.pk}

    def test_another_outage_is_news_again(self, cluster, clock):
        for _ in range(2):
            lose(cluster)
            clock(ClusterAway(), 4)
            Cluster.objects.update(status="reachable")
            clock(ClusterAway(), 1)
        assert [news for news, _ in list_news()] == ["cluster_away", "cluster_back"] * 2

    def test_another_address_is_no_return(self, cluster, clock):
        lose(cluster)
        clock(ClusterAway(), 4)
        Cluster.objects.update(status="unknown")
        clock(ClusterAway(), 1)
        assert [news for news, _ in list_news()] == ["cluster_away"]

    def test_a_deleted_cluster_does_not_return(self, cluster, clock):
        lose(cluster)
        clock(ClusterAway(), 4)
        cluster.delete()
        clock(ClusterAway(), 1)
        assert [news for news, _ in list_news()] == ["cluster_away"]


class TestApplications:
    @pytest.fixture
    def cluster(self):
        return ClusterFactory(name="harbour", status="reachable")

    @pytest.fixture
    def container(self, cluster):
        application = ApplicationFactory(cluster=cluster, name="shop", status="running", wanted=1, running=1)
        return ContainerFactory(service=ServiceFactory(application=application), state="running")

    def set_state(self, container, state, health=""):
        container.state, container.health = state, health
        container.save()
        running = state == "running"
        status = "stopped" if not running else "degraded" if health == "unhealthy" else "running"
        Application.objects.update(status=status, running=int(running))

    def test_a_crash_loop_is_one_episode_although_the_container_runs_now_and_then(self, container, clock):
        for _ in range(6):
            self.set_state(container, "restarting")
            clock(ApplicationFailing(), 0.75)
            self.set_state(container, "running")
            clock(ApplicationFailing(), 0.25)
        self.set_state(container, "restarting")
        clock(ApplicationFailing(), 0.25)
        failing = ("crashing", "A container of shop on harbour keeps restarting: 0 of 1 run.")
        assert list_news() == [failing]
        self.set_state(container, "running")
        clock(ApplicationFailing(), 3)
        assert list_news() == [failing, ("works_again", "shop on harbour has been healthy for 2 min: 1 of 1 run.")]

    def test_an_unhealthy_container(self, container, clock):
        self.set_state(container, "running", "unhealthy")
        clock(ApplicationFailing(), 4)
        assert list_news() == [("crashing", "A container of shop on harbour is unhealthy: 1 of 1 run.")]

    def test_too_few_tasks(self, cluster, clock):
        ApplicationFactory(cluster=cluster, name="shop", source="stack", status="degraded", wanted=3, running=2)
        clock(ApplicationFailing(), 4)
        assert list_news() == [("crashing", "shop on harbour has had too few tasks for 3 min: 2 of 3 run.")]

    def test_a_container_that_has_done_its_work_is_no_news(self, container, clock):
        ContainerFactory(service=container.service, state="exited")
        Application.objects.update(status="degraded", wanted=2, running=1)
        clock(ApplicationFailing(), 5)
        assert list_news() == []

    def test_nothing_is_judged_while_a_call_runs_or_the_engine_is_away(self, container, cluster, clock):
        trigger = TriggerFactory(application=container.service.application)
        call = TriggerCallFactory(trigger=trigger, state=CallState.RUNNING)
        self.set_state(container, "restarting")
        clock(ApplicationFailing(), 5)
        call.state = CallState.FAILED
        call.save()
        lose(cluster)
        clock(ApplicationFailing(), 5)
        assert list_news() == []

    def test_what_somebody_stops_does_not_work_again(self, container, clock):
        self.set_state(container, "restarting")
        clock(ApplicationFailing(), 4)
        self.set_state(container, "exited")
        clock(ApplicationFailing(), 3)
        assert [news for news, _ in list_news()] == ["crashing"]
