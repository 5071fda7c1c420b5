from datetime import UTC, datetime, timedelta

import pytest

from triggers.models import News
from triggers.notifications.grouping import FLOOD, MINUTE, MOST, PAUSE, WINDOW, Group, Sent, Waiting, decide

NOW = datetime(2026, 1, 31, 3, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def failures(*applications, first=1):
    return [Waiting(pk, f"failed {name}", News.FAILED, name) for pk, name in enumerate(applications, first)]


def test_the_first_news_are_sent_at_once():
    assert decide(failures(7, 8), Sent(), NOW).messages == [Group(1), Group(2)]


def test_equal_news_are_one_message_that_the_newest_leads():
    assert decide(failures(7, 7, 7), Sent(), NOW).messages == [Group(3, (1, 2))]


def test_equal_news_wait_until_the_window_of_the_first_ends():
    sent = Sent(groups={"failed 7": NOW - MINUTE}, messages=0)
    decision = decide(failures(7, 8, 7), sent, NOW)
    assert decision.messages == [Group(2)]
    assert decision.held == {NOW - MINUTE + WINDOW: [1, 3]}
    assert decide(failures(7, 8, 7), sent, NOW - MINUTE + WINDOW).messages[0] == Group(3, (1,))


def test_a_window_from_a_clock_that_was_set_back_holds_nothing():
    assert decide(failures(7), Sent(groups={"failed 7": NOW + SECOND}), NOW).messages == [Group(1)]


def test_what_a_minute_has_no_room_for_waits_for_the_last_message_to_be_a_minute_old():
    """Nothing is sent meanwhile, so that moment comes."""
    sent = Sent(messages=MOST - 2, last_at=NOW - SECOND)
    assert decide(failures(1, 2), sent, NOW).messages == [Group(1), Group(2)]
    assert decide(failures(1, 2, 3), sent, NOW).held == {NOW - SECOND + MINUTE: [1, 2, 3]}


def test_more_than_a_minute_has_room_for_become_a_digest():
    decision = decide(failures(*range(MOST + 1)), Sent(), NOW)
    assert decision.messages == [Group(MOST + 1, tuple(range(1, MOST + 1)), is_digest=True)]
    assert len(decide(failures(*range(MOST)), Sent(), NOW).messages) == MOST


def test_over_a_flooded_channel_everything_is_sent_together_with_pauses():
    sent = Sent(messages=1, last_at=NOW - SECOND, digest_at=NOW - MINUTE)
    assert decide(failures(1, 2), sent, NOW).held == {NOW - SECOND + PAUSE: [1, 2]}
    later = Sent(last_at=NOW - PAUSE, digest_at=NOW - PAUSE)
    assert decide(failures(1, 2), later, NOW).messages == [Group(2, (1,), is_digest=True)]
    assert decide(failures(1, 1), later, NOW).messages == [Group(2, (1,))]
    after = Sent(last_at=NOW - SECOND, digest_at=NOW - FLOOD)
    assert decide(failures(1, 2), after, NOW).messages == [Group(1), Group(2)]


def test_works_again_takes_the_failures_before_it_along():
    sent = Sent(groups={"failed 7": NOW - MINUTE})
    waiting = [*failures(7, 8, 7), Waiting(4, "again 7", News.WORKS_AGAIN, 7), *failures(7, first=5)]
    decision = decide(waiting, sent, NOW)
    assert decision.messages == [Group(2), Group(4, (1, 3))]
    assert decision.held == {NOW - MINUTE + WINDOW: [5]}


def test_works_again_that_waits_itself_takes_nothing():
    sent = Sent(groups={"again 7": NOW - MINUTE})
    decision = decide([*failures(7), Waiting(2, "again 7", News.WORKS_AGAIN, 7)], sent, NOW)
    assert decision.messages == [Group(1)]
    assert decision.held == {NOW - MINUTE + WINDOW: [2]}


def test_a_test_is_sent_whatever_waits():
    sent = Sent(messages=MOST, last_at=NOW, digest_at=NOW)
    decision = decide([*failures(7), Waiting(2, "", News.TEST), Waiting(3, "", News.TEST)], sent, NOW)
    assert decision.messages == [Group(2), Group(3)]


@pytest.mark.parametrize("applications", [1, 40, 2000])
@pytest.mark.parametrize("minutes", [1, 40])
def test_two_thousand_failures_are_at_most_twenty_messages(applications, minutes):
    """However many applications fail, and however fast. Every news is in one message."""
    calls, told, sent_at, digest_at, times = 2000, [], {}, None, []
    waiting, arrived = [], 0
    for second in range(0, minutes * 60 + 2400, 10):
        now = NOW + second * SECOND
        while arrived < calls and arrived * minutes * 60 <= second * calls:
            arrived += 1
            waiting += failures(arrived % applications, first=arrived)
        groups = {group: at for group, at in sent_at.items() if now - at < WINDOW}
        last_minute = [at for at in times if now - at < MINUTE]
        sent = Sent(groups, len(last_minute), times[-1] if times else None, digest_at)
        by_pk = {each.pk: each for each in waiting}
        for group in decide(waiting, sent, now).messages:
            told.append(group)
            times.append(now)
            digest_at = now if group.is_digest else digest_at
            for pk in group.pks:
                sent_at[by_pk.pop(pk).group] = now
        waiting = list(by_pk.values())
    assert len(told) <= 20
    assert sorted(pk for group in told for pk in group.pks) == list(range(1, calls + 1))
