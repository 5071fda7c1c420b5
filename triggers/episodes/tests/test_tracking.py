"""An episode is reported once, when it has lasted for a while, and once more when it is over."""

from datetime import timedelta

import pytest
from django.utils import timezone

from triggers.episodes.tracking import BLIND, Condition, follow
from triggers.models import Episode

pytestmark = pytest.mark.django_db
STEP = timedelta(seconds=15)


class Leak(Condition[str]):
    """A condition of texts. `lasting` are those for which it holds; the others are over, or gone if `gone` has them."""

    kind = Episode.Kind.CLUSTER
    patience = timedelta(minutes=1)

    def __init__(self, calm=timedelta(0)):
        self.calm = calm
        self.lasting, self.gone, self.unclear, self.news = set(), set(), set(), []

    def find_lasting(self):
        return {subject: subject for subject in self.lasting}

    def find_ended(self, subjects):
        return {one: None if one in self.gone else one for one in subjects if one not in self.unclear}

    def report_begin(self, row):
        self.news.append(f"{row} leaks")

    def report_end(self, row):
        self.news.append(f"{row} is tight")


def watch(leak, start, steps):
    """Look every STEP; return the time after the last look."""
    for number in range(steps):
        follow(leak, start + number * STEP)
    return start + steps * STEP


@pytest.fixture
def leak():
    return Leak()


@pytest.fixture
def start():
    return timezone.now()


def test_what_lasts_is_reported_once_and_so_is_its_end(leak, start):
    leak.lasting = {"hull"}
    after = watch(leak, start, 4)
    assert leak.news == []
    after = watch(leak, after, 8)
    assert leak.news == ["hull leaks"]
    leak.lasting = set()
    watch(leak, after, 3)
    assert leak.news == ["hull leaks", "hull is tight"]
    assert not Episode.objects.exists()


def test_what_ends_before_is_no_news(leak, start):
    leak.lasting = {"hull"}
    after = watch(leak, start, 3)
    leak.lasting = set()
    watch(leak, after, 3)
    assert (leak.news, Episode.objects.count()) == ([], 0)


def test_two_watchers_report_it_once(leak, start):
    leak.lasting = {"hull"}
    for number in range(8):
        follow(leak, start + number * STEP)
        follow(leak, start + number * STEP)
    assert leak.news == ["hull leaks"]
    leak.lasting = set()
    follow(leak, start + 8 * STEP)
    follow(leak, start + 8 * STEP)
    assert leak.news == ["hull leaks", "hull is tight"]


def test_a_watcher_that_read_the_row_before_another_reported_it_reports_nothing(leak, start):
    leak.lasting = {"hull"}
    after = watch(leak, start, 4)
    other = Leak()
    other.lasting = {"hull"}
    find_lasting = leak.find_lasting

    def read_late():
        found = find_lasting()
        follow(other, after)
        return found

    leak.find_lasting = read_late
    follow(leak, after)
    assert (leak.news, other.news) == ([], ["hull leaks"])


def test_a_restart_forgets_nothing_and_repeats_nothing(leak, start):
    leak.lasting = {"hull"}
    after = watch(leak, start, 6)
    again = Leak()
    again.lasting = {"hull"}
    watch(again, after + timedelta(hours=2), 6)
    assert (leak.news, again.news) == (["hull leaks"], [])


def test_time_without_a_watcher_does_not_count(leak, start):
    leak.lasting = {"hull"}
    watch(leak, start, 2)
    later = watch(leak, start + BLIND + timedelta(minutes=5), 4)
    assert leak.news == []
    watch(leak, later, 2)
    assert leak.news == ["hull leaks"]


def test_an_end_waits_for_calm(start):
    leak = Leak(calm=timedelta(minutes=2))
    leak.lasting = {"hull"}
    after = watch(leak, start, 6)
    for _ in range(3):  # it holds for a moment now and then
        leak.lasting = set()
        after = watch(leak, after, 4)
        leak.lasting = {"hull"}
        after = watch(leak, after, 1)
    assert leak.news == ["hull leaks"]
    leak.lasting = set()
    watch(leak, after, 10)
    assert leak.news == ["hull leaks", "hull is tight"]


def test_what_was_deleted_ends_without_news_and_what_is_unclear_lasts(leak, start):
    leak.lasting = {"hull", "deck"}
    after = watch(leak, start, 6)
    leak.lasting, leak.gone, leak.unclear = set(), {"hull"}, {"deck"}
    watch(leak, after, 3)
    assert sorted(leak.news) == ["deck leaks", "hull leaks"]
    assert [episode.subject for episode in Episode.objects.all()] == ["deck"]
