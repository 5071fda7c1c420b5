"""What an image says about itself: its version, the revision and the repository of its source, and when it was built.

The labels are those of the OCI image specification ("Pre-Defined Annotation Keys"). Builders choose them freely, so that they
are cleaned and cut.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clusters.engine.cleaning import clean_text, read_time

PREFIX = "org.opencontainers.image."
LENGTHS = {"version": 128, "revision": 128, "source": 512}  # characters


def read_image_facts(labels: Any, created: Any = None) -> dict[str, str]:
    """Return as many of `version`, `revision`, `source` and `created` as are known.

    `labels` are the image's. `created` is when the engine says that it was built: RFC 3339, or a Unix time. The label for that
    counts more.
    """
    found = labels if isinstance(labels, Mapping) else {}
    facts = {name: clean_text(found.get(f"{PREFIX}{name}"), length) for name, length in LENGTHS.items()}
    moment = read_time(str(found.get(f"{PREFIX}created") or "")) or read_moment(created)
    facts["created"] = moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""
    return {name: text for name, text in facts.items() if text}


def read_moment(value: Any) -> datetime | None:
    """Return None for a time that says nothing, as in images that can be rebuilt bit by bit: the year 1, 1970 or 1980."""
    try:
        moment = datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else read_time(str(value or ""))
    except (OverflowError, OSError, ValueError):
        return None
    return moment if moment and moment.year > 1980 else None
