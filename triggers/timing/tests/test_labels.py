from contextlib import suppress
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.timing.labels import BadFreeze, read_age, read_freezes
from triggers.timing.spans import SingleTime, WeeklyTimes

WEEKEND = WeeklyTimes((4,), time(18), time(6), "Europe/Berlin", end_day=0)


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("Fri 18:00-Mon 06:00 Europe/Berlin", WEEKEND),
        ("  fri   18:00-mon 06:00  Europe/Berlin ", WEEKEND),
        ("Mon-Fri 22:00-05:00", WeeklyTimes((0, 1, 2, 3, 4), time(22), time(5), "UTC")),
        ("Fri-Mon 01:00-02:00", WeeklyTimes((0, 4, 5, 6), time(1), time(2), "UTC")),
        ("Sat,Sun 00:00-24:00", WeeklyTimes((5, 6), time(0), time(0), "UTC")),
        ("Mon,Wed-Thu 00:00-24:00", WeeklyTimes((0, 2, 3), time(0), time(0), "UTC")),
        ("Sat 00:00-Sun 24:00", WeeklyTimes((5,), time(0), time(0), "UTC", end_day=0)),
        ("daily 09:00-17:00 Asia/Tokyo", WeeklyTimes(tuple(range(7)), time(9), time(17), "Asia/Tokyo")),
        (
            "2026-12-24 12:00/2027-01-02 08:00 Europe/Berlin",
            SingleTime(datetime(2026, 12, 24, 11, tzinfo=UTC), datetime(2027, 1, 2, 7, tzinfo=UTC), "Europe/Berlin"),
        ),
    ],
)
def test_times_of_a_label(text, times):
    (found,) = read_freezes(text)
    assert (found.times, found.refuses, found.includes_scaling) == (times, False, False)


def test_several_windows_with_words():
    text = "Fri 18:00-Mon 06:00 Europe/Berlin refuse; ;Mon 01:00-02:00 scaling refuse;Tue 01:00-02:00 wait"
    first, second, third = read_freezes(text)
    assert (first.refuses, first.includes_scaling) == (True, False)
    assert (second.refuses, second.includes_scaling) == (True, True)
    assert (third.refuses, third.includes_scaling) == (False, False)
    assert read_freezes("") == read_freezes(" ; ") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("weekends", "it must begin with times, such as Fri 18:00-Mon 06:00 Europe/Berlin"),
        ("Fri 18:00", "it must begin with times"),
        ("Fri 25:00-26:00", "25:00 is no time of day"),
        ("Mon-Tue-Wed 01:00-02:00", "Mon-Tue-Wed has too many days"),
        ("Fri 18:00-Mon 06:00 Europe/Atlantis", "Europe/Atlantis is not the name of a time zone"),
        ("Fri 18:00-Mon 06:00 UTC reject", "reject is none of refuse, scaling, wait"),
        ("Fri 18:00-Mon 06:00x", "it must begin with times|is not the name of a time zone"),
        ("2026-02-30 12:00/2026-03-01 08:00", "it has a date that does not exist"),
        ("2026-03-02 12:00/2026-03-01 08:00", "it ends before it starts"),
        ("0001-01-01 00:00/2026-03-01 08:00 Asia/Tokyo", "it has a date that does not exist"),
        ("2026-03-02 12:00/9999-12-31 23:59", "its years are not from 2000 to 2199"),
        (";".join(["Fri 18:00-19:00"] * 21), "At most 20 windows"),
    ],
    ids=["no times", "no end", "hour", "days", "zone", "word", "rest", "date", "order", "year", "years", "many"],
)
def test_what_cannot_be_read_says_why(text, reason):
    with pytest.raises(BadFreeze, match=reason):
        read_freezes(text)


@given(st.text(max_size=80) | st.from_regex(r"(Mon|Fri|daily) \d\d:\d\d-\d\d:\d\d( \w+)?", fullmatch=True))
def test_any_text_is_read_or_refused(text):
    with suppress(BadFreeze):
        assert isinstance(read_freezes(text), list)


def test_ages():
    assert read_age("24h") == read_age(" 1d ") == read_age("1 D") == timedelta(days=1)
    assert read_age("") == read_age("0h") == timedelta(0)
    for wrong in ("1", "1w", "-1h", "1.5h", "91d", "99999h", "soon"):
        with pytest.raises(BadFreeze):
            read_age(wrong)
