"""Text helpers for the messages of both drivers."""

from datetime import UTC, datetime, timedelta

OUTPUT_LENGTH = 300  # characters


def cut(text: str) -> str:
    """Return the text as one printable line of at most OUTPUT_LENGTH characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= OUTPUT_LENGTH else f"{line[:OUTPUT_LENGTH]}…"


def sentence(text: str) -> str:
    """Return the text with a full stop at its end, unless it ends like a sentence already."""
    return text if text.endswith((".", "…", "!", "?")) else f"{text}."


def describe_moment(seconds: float) -> str:
    """Return the time that many seconds from now, by the console's clock: `2026-11-30 15:04:05 UTC`."""
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S} UTC"


def explain_missing_path(name: str, path: str) -> str:
    """Return the sentence that refuses to stop a container that mounts a path, or has a device, that the host no longer has."""
    return f"{name} uses {path} of the host, which no longer exists: it could not be started again. Restore {path} first."


def explain_protection(name: str, purpose: str = "") -> str:
    """Return the sentence that refuses to touch a protected container, service or application. `purpose` is what the console
    needs it for (clusters.engine.lifelines)."""
    return f"{name} is protected: {purpose or 'the console runs in it, or its label says so'}."
