"""What an engine says is hostile: texts, counts and times from it, made fit for a database column."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

NAME_LENGTH = 255  # the widest an application, service, container or node name is stored
IMAGE_LENGTH = 512
TEXT_LENGTH = 500  # of a message or an error
LARGEST_COUNT = 2**31 - 1
LARGEST_SIZE = 2**63 - 1
LABELS_KEPT = 100
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


def is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_LENGTH and not UNPRINTABLE.search(text)


def clean_text(value: Any, length: int) -> str:
    """No control characters, no longer than `length`."""
    return UNPRINTABLE.sub("", str(value or ""))[:length]


def clean_count(value: Any, largest: int = LARGEST_COUNT) -> int:
    """A whole number from 0 on."""
    return min(max(int(value or 0), 0), largest)


def clean_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    """By name, and no more than LABELS_KEPT of them."""
    kept = sorted((labels or {}).items())[:LABELS_KEPT]
    return {clean_text(name, NAME_LENGTH): clean_text(value, NAME_LENGTH) for name, value in kept}


def read_time(text: str | None) -> datetime | None:
    """RFC 3339 as Go writes it, with up to nine digits of a second. None for Go's zero time and for what is no time."""
    try:
        moment = datetime.fromisoformat(text or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= 1970 else None
