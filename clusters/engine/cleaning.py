"""Clean the texts, counts and times in an engine's answers, which are hostile, so that a database column can hold them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

NAME_LENGTH = 255  # the longest application, service, container or node name that is stored
IMAGE_LENGTH = 512
TEXT_LENGTH = 500  # the longest message or error
FREEZE_LABEL_LENGTH, LEAST_AGE_LABEL_LENGTH = 1000, 64
LARGEST_COUNT = 2**31 - 1
LARGEST_SIZE = 2**63 - 1
LABELS_KEPT = 100
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


def is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_LENGTH and not UNPRINTABLE.search(text)


def clean_text(value: Any, length: int) -> str:
    """Return the text without control characters, cut to `length`."""
    return UNPRINTABLE.sub("", str(value or ""))[:length]


def clean_count(value: Any, largest: int = LARGEST_COUNT) -> int:
    """Return a whole number between 0 and `largest`."""
    return min(max(int(value or 0), 0), largest)


def clean_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Return the first LABELS_KEPT labels by name, cleaned."""
    kept = sorted((labels or {}).items())[:LABELS_KEPT]
    return {clean_text(name, NAME_LENGTH): clean_text(value, NAME_LENGTH) for name, value in kept}


def read_time(text: str | None) -> datetime | None:
    """Parse an RFC 3339 time as Go writes it, with up to nine decimals. None for Go's zero time and for anything else."""
    try:
        moment = datetime.fromisoformat(text or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= 1970 else None
