"""Times by the clocks of zones, against an oracle that only looks at what the clocks show."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from triggers.timing.spans import LONGEST, SingleTime, WeeklyTimes, find_end, find_zone, write_moment, write_times

BERLIN = ZoneInfo("Europe/Berlin")
WEEKEND = WeeklyTimes((4,), time(18), time(6), "Europe/Berlin", end_day=0)
NIGHTS = WeeklyTimes((0, 1, 2, 3, 4), time(22), time(5), "Europe/Berlin")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "America/St_Johns"]


def berlin(year, month, day, hour=0, minute=0, fold=0):
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN, fold=fold).astimezone(UTC)  # with fold, only UTC compares


@pytest.mark.parametrize(
    ("moment", "frozen"),
    [
        (berlin(2026, 11, 27, 17, 59), False),
        (berlin(2026, 11, 27, 18), True),
        (berlin(2026, 11, 28, 0), True),
        (berlin(2026, 11, 29, 23, 59), True),
        (berlin(2026, 11, 30, 5, 59), True),
        (berlin(2026, 11, 30, 6), False),
        (berlin(2026, 12, 2, 12), False),
    ],
)
def test_a_window_over_the_end_of_a_week(moment, frozen):
    span = WEEKEND.find_span(moment)
    assert (span is not None) is frozen
    if span:
        assert (span.start, span.end) == (berlin(2026, 11, 27, 18), berlin(2026, 11, 30, 6))


def test_a_window_over_midnight_ends_on_the_next_day():
    assert NIGHTS.find_span(berlin(2026, 11, 28, 4, 59)).end == berlin(2026, 11, 28, 5)  # begun on Friday
    assert NIGHTS.find_span(berlin(2026, 11, 28, 23)) is None  # on Saturday none begins
    assert NIGHTS.find_span(berlin(2026, 11, 30, 4)) is None  # nor on Sunday
    whole = WeeklyTimes((2,), time(0), time(0), "UTC")
    assert whole.find_span(datetime(2026, 12, 2, tzinfo=UTC)).end == datetime(2026, 12, 3, tzinfo=UTC)
    week = WeeklyTimes((2,), time(12), time(12), "UTC", end_day=2)
    assert week.find_span(datetime(2026, 12, 9, 11, 59, tzinfo=UTC)).start == datetime(2026, 12, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(berlin(2026, 3, 28), 35), (berlin(2026, 10, 24), 37), (berlin(2026, 11, 28), 36)],
    ids=["summer time begins", "summer time ends", "neither"],
)
def test_a_window_over_a_change_of_the_clocks_lasts_by_the_clocks(day, hours):
    times = WeeklyTimes((5,), time(18), time(6), "Europe/Berlin", end_day=0)
    span = times.find_span(day + 20 * HOUR)
    assert span.end - span.start == hours * HOUR
    assert write_moment(span.end, "Europe/Berlin").endswith(" 06:00 (Europe/Berlin)")


def test_what_the_clocks_skip_or_repeat_makes_the_window_longer():
    ending = WeeklyTimes((6,), time(0), time(2, 30), "Europe/Berlin")
    assert ending.find_span(berlin(2026, 3, 29, 1)).end == berlin(2026, 3, 29, 3, 30)  # 02:30 is skipped
    assert ending.find_span(berlin(2026, 10, 25, 1)).end == berlin(2026, 10, 25, 2, 30, fold=1)  # the second 02:30
    beginning = WeeklyTimes((6,), time(2, 30), time(8), "Europe/Berlin")
    assert beginning.find_span(berlin(2026, 3, 29, 5)).start == berlin(2026, 3, 29, 1, 30)
    assert beginning.find_span(berlin(2026, 10, 25, 5)).start == berlin(2026, 10, 25, 2, 30, fold=0)


def shows_a_frozen_time(times, moment):
    """The oracle: whether the zone's clocks show a time of the window, without any arithmetic on moments."""
    shown = moment.astimezone(ZoneInfo(times.zone))
    now = (shown.weekday(), shown.time())
    for day in times.days:
        if times.end_day is None:
            last = day if times.end > times.start else (day + 1) % 7
            wraps = False
        else:
            last = times.end_day
            wraps = last == day and times.end <= times.start
        begin, end = (day, times.start), (last, times.end)
        if wraps or end < begin:
            if now >= begin or now < end:
                return True
        elif begin <= now < end:
            return True
    return False


def is_near_a_change(moment, zone):
    """Whether the clocks change within a day and a half: they may have been read either way."""
    offsets = {(moment + shift * HOUR).astimezone(ZoneInfo(zone)).utcoffset() for shift in range(-36, 37)}
    return len(offsets) > 1


@st.composite
def weekly_times(draw):
    clock = st.times().map(lambda found: found.replace(second=0, microsecond=0))
    days = draw(st.sets(st.integers(0, 6), min_size=1).map(sorted))
    end_day = draw(st.none() | st.integers(0, 6))
    return WeeklyTimes(tuple(days), draw(clock), draw(clock), draw(st.sampled_from(ZONES)), end_day)


MOMENTS = st.datetimes(datetime(2013, 1, 1), datetime(2034, 1, 1), timezones=st.just(UTC))


@given(weekly_times(), MOMENTS)
@example(WeeklyTimes((6,), time(0), time(2, 30), "Europe/Berlin"), datetime(2026, 10, 25, 1, 15, tzinfo=UTC))
def test_a_window_holds_whenever_the_clocks_show_a_time_of_it(times, moment):
    frozen = times.find_span(moment) is not None
    if shows_a_frozen_time(times, moment):
        assert frozen
    elif frozen:
        assert is_near_a_change(moment, times.zone)


@given(weekly_times(), MOMENTS)
def test_a_span_has_its_moment_and_ends_within_eight_days(times, moment):
    span = times.find_span(moment)
    if span:
        assert span.start <= moment < span.end <= moment + 8 * DAY
    later = times.find_next(moment)
    assert later is not None
    assert moment < later.start <= moment + 8 * DAY


@settings(max_examples=30)
@given(st.lists(weekly_times(), min_size=1, max_size=3), MOMENTS)
def test_the_end_is_the_first_moment_at_which_nothing_holds(times, moment):
    end = find_end(times, moment)
    if end is None:
        assert any(one.find_span(moment + LONGEST / 2) for one in times)
        return
    assert not any(one.find_span(end) for one in times)
    assert (end == moment) is not any(one.find_span(moment) for one in times)
    for part in range(5):  # nothing is free before
        between = moment + (end - moment) * part / 5
        assert end == moment or any(one.find_span(between) for one in times)


def test_windows_that_touch_count_as_one():
    friday = SingleTime(datetime(2026, 12, 4, 18, tzinfo=UTC), datetime(2026, 12, 5, tzinfo=UTC))
    saturday = SingleTime(datetime(2026, 12, 5, tzinfo=UTC), datetime(2026, 12, 6, tzinfo=UTC))
    assert find_end([friday, saturday], datetime(2026, 12, 4, 20, tzinfo=UTC)) == saturday.end
    assert find_end([WeeklyTimes(tuple(range(7)), time(0), time(0), "UTC")], friday.start) is None
    years = SingleTime(friday.start, friday.start + 3 * LONGEST)
    assert find_end([years], friday.start) == years.end


def test_single_times():
    once = SingleTime(datetime(2026, 12, 24, 11, tzinfo=UTC), datetime(2027, 1, 2, 7, tzinfo=UTC), "Europe/Berlin")
    assert once.find_span(once.start).end == once.end
    assert once.find_span(once.end) is None
    assert once.find_next(once.start - HOUR).start == once.start
    assert once.find_next(once.start) is None
    assert write_times(once) == "2026-12-24 12:00 to 2027-01-02 08:00 (Europe/Berlin)"


@pytest.mark.parametrize(
    ("times", "text"),
    [
        (WEEKEND, "Fri 18:00 to Mon 06:00 (Europe/Berlin)"),
        (NIGHTS, "Mon-Fri 22:00 to 05:00 (Europe/Berlin)"),
        (WeeklyTimes((5, 6), time(0), time(0), "UTC"), "Sat, Sun 00:00 to 00:00 (UTC)"),
        (WeeklyTimes(tuple(range(7)), time(1), time(2), "UTC"), "daily 01:00 to 02:00 (UTC)"),
    ],
    ids=["weekend", "nights", "two days", "daily"],
)
def test_times_in_words(times, text):
    assert write_times(times) == text


def test_an_unknown_zone_is_utc():
    assert find_zone("Moon/Crater") is UTC
