import pytest

from clusters.engine.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m30s", 90), ("45", 45), ("2.5", 2.5), ("500ms", 0.5), ("1h", 3600), ("0s", 0), (" 5S ", 5)],
)
def test_a_duration_is_read_in_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "abc", "-5s", "5 s", "1s1m", "٥", "9" * 40])
def test_other_texts_are_no_durations(text):
    assert parse_duration(text) is None
