"""The chart of a day of calls, and the applications beside it that were called most."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from clusters.tests.factories import ApplicationFactory, ClusterFactory
from console.pages.overview.call_chart import HOURS, chart_calls
from triggers.models import CallState
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db):
    return ApplicationFactory(cluster=ClusterFactory(name="harbour"), name="shop")


def add_call(application, age=timedelta(), state=CallState.SUCCEEDED, **fields):
    trigger = application.triggers.first() or TriggerFactory(application=application)
    return TriggerCallFactory(trigger=trigger, queued_at=timezone.now() - age, state=state, **fields)


class TestChart:
    NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

    def chart(self, shop, *calls, applications=None):
        for age, state in calls:
            TriggerCallFactory(trigger=TriggerFactory(application=shop), queued_at=self.NOW - age, state=state)
        return chart_calls(applications, self.NOW)

    def test_calls_stand_in_their_hours_stacked_by_outcome(self, shop):
        failed, well = CallState.FAILED, CallState.SUCCEEDED
        minutes = timedelta(minutes=1)
        chart = self.chart(shop, (minutes, well), (2 * minutes, failed), (90 * minutes, well), (24 * 60 * minutes, well))
        assert [(part.tone, part.x) for part in chart.parts] == [("ok", 220), ("ok", 230), ("bad", 230)]
        assert chart.parts[1].y == chart.parts[2].y + chart.parts[2].height
        assert all(part.y >= 0 and part.y + part.height <= chart.height for part in chart.parts)
        assert chart.text == "Calls of the last 24 hours: 3 calls, 2 succeeded, 1 failed; at most 2 in one hour."
        assert chart.columns[-1].title == "12:00 UTC: 2 calls, 1 succeeded, 1 failed"
        assert chart.columns[0].title == "13:00 UTC: no call"

    def test_one_among_thousands_is_seen(self, shop, monkeypatch):
        monkeypatch.setattr(
            "console.pages.overview.call_chart._count_by_hour",
            lambda *_: {(HOURS - 1, state): 1 for state in CallState} | {(HOURS - 1, CallState.SUCCEEDED): 90_000},
        )
        chart = self.chart(shop)
        assert len(chart.parts) == 5
        assert all(part.height >= 2 and part.y >= 0 for part in chart.parts)

    def test_nothing_draws_nothing(self, shop):
        chart = self.chart(shop)
        assert (chart.parts, chart.total) == ([], 0)


class TestOverview:
    def test_the_most_called_applications_of_the_last_day_come_first(self, reader, shop):
        calm = ApplicationFactory(cluster=shop.cluster, name="calm")
        ApplicationFactory(cluster=shop.cluster, name="silent")
        add_call(calm)
        for age in (0, 1, 2):
            add_call(shop, timedelta(hours=age), state=CallState.FAILED if age else CallState.SUCCEEDED)
        for _ in range(5):
            add_call(calm, timedelta(days=2), state=CallState.REJECTED, repeated=9)
        found = reader.get("/").context["most_called"]
        assert [(one.name, one.call_count, one.broken_count) for one in found] == [("shop", 3, 2), ("calm", 1, 0)]
        add_call(calm, state=CallState.REJECTED, repeated=9)
        found = reader.get("/").context["most_called"]
        assert [(one.name, one.call_count, one.broken_count) for one in found] == [("calm", 11, 0), ("shop", 3, 2)]

    def test_the_chart_has_a_text_and_no_style(self, reader, shop):
        add_call(shop)
        text = reader.get("/").content.decode()
        assert 'role="img" aria-label="Calls of the last 24 hours: 1 call, 1 succeeded; at most 1 in one hour."' in text
        assert "style=" not in text
