import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.engine.logs.cursor import LogCursor, LogPosition, make_source_key


@given(
    st.integers(0, 10**19 - 1),
    st.dictionaries(
        st.text(max_size=9), st.builds(LogPosition, st.integers(0, 10**19 - 1), st.integers(0, 10**9 - 1)), max_size=5
    ),
)
def test_a_cursor_comes_back_as_it_was(floor, positions):
    cursor = LogCursor(floor, {make_source_key(name): position for name, position in positions.items()})
    assert LogCursor.decode(cursor.encode()) == cursor


@pytest.mark.parametrize(
    "text", ["", "2.0", "1.-1", "1.0~", "1.0~abc.1.1", "1.0~aaaaaaaaaaaa.1", "1.٣", "1." + "9" * 20, "1.0\n"]
)
def test_a_text_that_is_not_a_cursor_is_refused(text):
    with pytest.raises(ValueError, match="cursor"):
        LogCursor.decode(text)


def test_a_cursor_of_too_many_positions_is_refused():
    with pytest.raises(ValueError, match="too many"):
        LogCursor.decode("1.0" + "~aaaaaaaaaaaa.1.1" * 201)
