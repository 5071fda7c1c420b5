from datetime import UTC, datetime, timedelta

import pytest

from triggers.expiry import describe_notice, explain_end

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("expires_at", "calls_left", "end", "notice"),
    [
        (None, None, "", ""),
        (None, 1, "", ""),
        (None, 0, "All calls", "All calls that this trigger's link was for have been made. Only people can call it."),
        (NOW - HOUR, 5, "This trigger expired on 2026-03-01 at 11:00 UTC.", "This trigger expired on 2026-03-01 at 11:00 UTC."),
        (NOW, None, "This trigger expired", "This trigger expired"),
        (NOW + HOUR, None, "", "This trigger expires on 2026-03-01 at 13:00 UTC; then only people can call it."),
        (NOW + timedelta(days=7), None, "", "This trigger expires on 2026-03-08"),
        (NOW + timedelta(days=7, seconds=1), None, "", ""),
    ],
)
def test_the_end_of_a_trigger_is_said_before_and_after_it(expires_at, calls_left, end, notice):
    for said, wanted in (
        (explain_end(expires_at, calls_left, NOW), end),
        (describe_notice(expires_at, calls_left, NOW), notice),
    ):
        assert said.startswith(wanted)
        assert bool(said) == bool(wanted)
