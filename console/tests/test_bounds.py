"""The figures of "Bounds of what strangers can cause" in docs/operate.md are those of the code. Tests beside the code hold that
they are kept."""

import re

import pytest
from django.conf import settings
from django.core.cache import caches

from clusters import callers, meters
from clusters.access import counted_acts
from console import sessions, sign_in_locks
from console.server import bodies
from console.telemetry import line_limit, totals
from console.telemetry.request_log import PATH_LENGTH
from triggers.pushes import refused_calls

MINUTE = 60


@pytest.fixture(scope="module")
def bounds():
    """The cell of each line, by its first cell."""
    text = (settings.BASE_DIR / "docs" / "operate.md").read_text()
    table = text.partition("### Bounds of what strangers can cause")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE))


def write(number):
    return f"{number:,.0f}"


@pytest.mark.parametrize(
    ("what", "figures"),
    [
        (
            "rows of failed sign-ins",
            [
                settings.SIGN_IN_FAILURES,
                sign_in_locks.FAILURES_OF_ADDRESS,
                sign_in_locks.LOCK_SPAN.total_seconds() / MINUTE,
            ],
        ),
        ("entries of the audit log", [counted_acts.ENTRIES_A_SPAN + 1, counted_acts.SPAN_SECONDS / MINUTE]),
        ("rows of sessions", [settings.STRANGERS_SESSIONS, sessions.STRANGER_SECONDS / MINUTE]),
        ("rows of deliveries and calls", [refused_calls.ROWS_A_MINUTE]),
        ("lines of the log", [line_limit.LINES_A_SECOND, line_limit.REASONS_A_SECOND, totals.STORE_SECONDS]),
        (
            "memory",
            [
                bodies.BODIES_LIMIT / 1024**2,
                caches["default"]._max_entries,
                callers._parse_address.cache_info().maxsize,
            ],
        ),
        ("callers that wait (`wait=`)", [settings.HOOK_WAITERS]),
        (
            "threads",
            [
                settings.REQUEST_THREADS,
                settings.HOOK_WAITERS,
                settings.WAITING_REQUESTS,
                settings.DOWNLOADS,
                settings.SIGN_INS,
            ],
        ),
        (
            "CPU of sign-ins",
            [
                settings.SIGN_INS,
                sign_in_locks.FAILURES_OF_NAME,
                sign_in_locks.NAME_SPAN.total_seconds() / MINUTE,
                sign_in_locks.FAILURES_OF_ADDRESS,
            ],
        ),
    ],
)
def test_the_figures_that_are_documented_are_those_of_the_code(bounds, what, figures):
    missing = [figure for figure in map(write, figures) if not re.search(rf"(?<![\d,]){figure}(?![\d,])", bounds[what])]
    assert missing == []


def test_each_line_of_the_log_is_bounded():
    assert PATH_LENGTH <= 200


def test_a_label_that_is_none_of_our_codes_makes_no_series():
    meters.drain_counts()
    for number in range(50):
        meters.HOOK_REQUESTS.add("trigger", f"Anything {number}")
    assert [dict(labels) for _, labels in meters.drain_counts()] == [{"link": "trigger", "code": "other"}]
