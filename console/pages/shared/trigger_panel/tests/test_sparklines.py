"""The sparkline of a trigger's calls in seven days."""

from datetime import timedelta

from django.utils import timezone

from clusters.tests.factories import ApplicationFactory
from console.pages.tests.reading import text_of
from triggers.models import CallState, TriggerCall
from triggers.tests.factories import TriggerCallFactory


class TestSparkline:
    def week_of(self, reader, trigger):
        return next(one.week for one in reader.get("/triggers/").context["triggers"] if one.pk == trigger.pk)

    def test_it_counts_the_calls_of_seven_days_by_day_and_outcome(self, reader, fleet):
        TriggerCall.objects.all().delete()
        for days, state in ((0, "succeeded"), (0, "failed"), (6, "rolled_back"), (7, "failed")):
            TriggerCallFactory(trigger=fleet.trigger, state=state, queued_at=timezone.now() - timedelta(days=days))
        TriggerCallFactory(trigger=fleet.scaling_trigger, state=CallState.RUNNING)
        week = self.week_of(reader, fleet.trigger)
        assert week.text == "In 7 days: 3 calls, 1 succeeded, 1 rolled back, 1 failed."
        assert [(bar.tone, bar.x) for bar in week.bars] == [("warn", 0), ("ok", 48), ("bad", 48)]
        assert [words.partition(": ")[2] for _, words in week.days][5:] == ["no call", "2 calls, 1 succeeded, 1 failed"]
        assert self.week_of(reader, fleet.scaling_trigger).text == "In 7 days: 1 call, 1 queued or running."

    def test_its_numbers_are_said_to_who_does_not_see_it(self, reader, fleet):
        for address in ("/triggers/", fleet.pages["application"]):
            assert 'role="img" aria-label="In 7 days: 1 call, 1 failed."' in text_of(reader.get(address))

    def test_bars_stay_in_their_place(self, reader, fleet):
        states = [state for state in CallState for _ in range(40 if state == "succeeded" else 1)]
        for state in states:
            extra = {"application": ApplicationFactory(), "service": None} if state == "running" else {}
            TriggerCallFactory(trigger=fleet.trigger, state=state, **extra)
        week = self.week_of(reader, fleet.trigger)
        assert len(week.bars) == 5
        assert min(bar.y for bar in week.bars) >= 0
