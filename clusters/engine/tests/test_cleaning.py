import pytest

from clusters.engine.cleaning import read_time


@pytest.mark.parametrize("text", ["", None, "soon", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_text_that_is_not_a_time_is_none(text):
    assert read_time(text) is None
