import pytest

from clusters import meters


@pytest.fixture(autouse=True)
def no_counts():
    """Start each test with nothing counted in this process."""
    meters.drain_counts()
