"""The version of Windlass. Whoever releases one raises VERSION here, sets SUITS to the version released before it, and tags the
commit `v` and VERSION. Knows no Django."""

VERSION = "0.1.0"
SUITS = "0.1.0"  # the oldest version that works with this version's database


def order(version: str) -> tuple[int, ...]:
    """Return a key by which versions such as `0.10.2` sort."""
    return tuple(int(part) for part in version.split("."))
