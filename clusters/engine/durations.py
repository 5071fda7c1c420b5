"""Parse the durations in labels and settings."""

import re

NANOSECONDS = 1e9  # in a second; the engine API's unit
MONITOR_LIMIT = 3600.0  # seconds
DURATION = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m(?!s))?(?:(?P<s>\d+(?:\.\d+)?)s)?(?:(?P<ms>\d+)ms)?")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_duration(text: str) -> float | None:
    """Return the seconds in "10s", "1m30s", "500ms" or plain "10" (Compose's format); None for anything else."""
    text = text.strip().lower()
    if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", text, re.ASCII):
        return float(text)
    found = DURATION.fullmatch(text) if text and len(text) < 30 else None
    if not found:
        return None
    return sum(float(value) * SECONDS[unit] for unit, value in found.groupdict().items() if value)
