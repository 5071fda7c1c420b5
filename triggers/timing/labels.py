"""The text of the label `windlass.freeze`, and what people write for times and ages.

    Fri 18:00-Mon 06:00 Europe/Berlin; Mon-Fri 22:00-05:00 refuse; 2026-12-24 12:00/2027-01-02 08:00 Europe/Berlin scaling

Entries are separated by semicolons. Each has its times, then a zone (UTC without one), then words: `refuse` instead of waiting,
and `scaling` to freeze scalings too.
"""

import re
from datetime import UTC, datetime, time, timedelta
from typing import NoReturn

from triggers.timing.rules import FreezeRule
from triggers.timing.spans import DAYS, WEEK, YEARS, SingleTime, WeeklyTimes, find_zone, list_zones

LABEL = "windlass.freeze"
AGE_LABEL = "windlass.least-age"
EXAMPLE = "Fri 18:00-Mon 06:00 Europe/Berlin"
ENTRIES_MAXIMUM = 20
AGE_MAXIMUM = timedelta(days=90)
DAY = "|".join(DAYS)
WEEKLY = re.compile(
    rf"(?P<days>daily|(?:{DAY})(?:[-,](?:{DAY}))*) (?P<start>\d\d:\d\d)-(?:(?P<end_day>{DAY}) )?(?P<end>\d\d:\d\d)",
    re.IGNORECASE,
)
SINGLE = re.compile(r"(?P<start>\d{4}-\d\d-\d\d \d\d:\d\d)/(?P<end>\d{4}-\d\d-\d\d \d\d:\d\d)")
MIDNIGHT = "24:00"
WORDS = {"wait", "refuse", "scaling"}
AGE = re.compile(r"(\d{1,4})\s*([hd])", re.IGNORECASE)


class BadFreeze(Exception):
    """The text cannot be read; the message says what is wrong."""


def read_freezes(text: str) -> list[FreezeRule]:
    """Return the windows that the label states. Raises BadFreeze."""
    entries = [" ".join(entry.split()) for entry in text.split(";")]
    found = [read_entry(entry) for entry in entries if entry]
    if len(found) > ENTRIES_MAXIMUM:
        raise BadFreeze(f"At most {ENTRIES_MAXIMUM} windows.")
    return found


def read_entry(entry: str) -> FreezeRule:
    match = WEEKLY.match(entry) or SINGLE.match(entry)
    if match is None:
        refuse(entry, f"it must begin with times, such as {EXAMPLE}")
    words = entry[match.end() :].split()
    zone = words.pop(0) if words and words[0].lower() not in WORDS else "UTC"
    if entry[match.end() : match.end() + 1].strip() or zone not in list_zones():
        refuse(entry, f"{zone} is not the name of a time zone")
    if wrong := next((word for word in words if word.lower() not in WORDS), ""):
        refuse(entry, f"{wrong} is none of {', '.join(sorted(WORDS))}")
    chosen = {word.lower() for word in words}
    times = read_weekly(entry, match, zone) if match.re is WEEKLY else read_single(entry, match, zone)
    return FreezeRule(f"the label {LABEL}", times, "refuse" in chosen, "scaling" in chosen)


def read_weekly(entry: str, match: re.Match[str], zone: str) -> WeeklyTimes:
    end_day = find_day(match["end_day"]) if match["end_day"] else None
    if end_day is not None and match["end"] == MIDNIGHT:
        end_day = (end_day + 1) % WEEK
    return WeeklyTimes(
        days=read_days(entry, match["days"]),
        start=read_clock(entry, match["start"]),
        end=read_clock(entry, match["end"]),
        zone=zone,
        end_day=end_day,
    )


def read_days(entry: str, text: str) -> tuple[int, ...]:
    """Read `daily`, `Fri`, `Mon-Fri`, `Fri-Mon` or `Mon,Wed-Fri`."""
    if text.lower() == "daily":
        return tuple(range(WEEK))
    found: set[int] = set()
    for part in text.split(","):
        first, *others = (find_day(day) for day in part.split("-"))
        if len(others) > 1:
            refuse(entry, f"{part} has too many days")
        last = others[0] if others else first
        found |= {day % WEEK for day in range(first, first + (last - first) % WEEK + 1)}
    return tuple(sorted(found))


def find_day(name: str) -> int:
    return DAYS.index(name.capitalize())


def read_clock(entry: str, text: str) -> time:
    """Read `18:00`. `24:00` is the midnight at which a day ends."""
    try:
        return time(0) if text == MIDNIGHT else time.fromisoformat(text)
    except ValueError:
        refuse(entry, f"{text} is no time of day")


def read_single(entry: str, match: re.Match[str], zone: str) -> SingleTime:
    try:
        start, end = (read_moment(match[name], zone) for name in ("start", "end"))
    except (ValueError, OverflowError):
        refuse(entry, "it has a date that does not exist")
    if start >= end:
        refuse(entry, "it ends before it starts")
    if start.year not in YEARS or end.year not in YEARS:
        refuse(entry, "its years are not from 2000 to 2199")
    return SingleTime(start, end, zone)


def read_moment(text: str, zone: str) -> datetime:
    """Return the moment at which the zone's clocks show `2026-12-24 12:00`. Raises ValueError, OverflowError."""
    return datetime.fromisoformat(text).replace(tzinfo=find_zone(zone)).astimezone(UTC)


def read_age(text: str) -> timedelta:
    """Read `24h` or `3d`; an empty text is no age. Raises BadFreeze."""
    if not text.strip():
        return timedelta(0)
    match = AGE.fullmatch(text.strip())
    if match is None:
        raise BadFreeze(f"'{text[:40]}' is no age; write 24h or 3d.")
    age = timedelta(**{"hours" if match[2].lower() == "h" else "days": int(match[1])})
    if age > AGE_MAXIMUM:
        raise BadFreeze(f"At most {AGE_MAXIMUM.days} days.")
    return age


def refuse(entry: str, what: str) -> NoReturn:
    raise BadFreeze(f"'{entry[:80]}' cannot be read: {what}.")
