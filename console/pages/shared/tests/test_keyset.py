"""Positions in long lists, as addresses hold them."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from console.pages.shared.keyset import PagePosition


@pytest.mark.parametrize("moment", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 2, 3, 4, 5, 6, 789_012, UTC)])
@pytest.mark.parametrize("row_id", [UUID(int=0), uuid4()])
def test_a_position_survives_an_address(moment, row_id):
    position = PagePosition(moment, row_id)
    assert PagePosition.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "x", "9.9", f"-1.{'0' * 32}", f"²1.{'0' * 32}", f"{'9' * 30}.{'0' * 32}", "1", "1."])
def test_anything_else_is_no_position(text):
    assert PagePosition.parse(text) is None
