"""When a trigger is over: by its date, or by the number of calls of its link."""

from datetime import datetime, timedelta

NOTICE = timedelta(days=7)  # before the date, from when on the pages say so


def explain_expiry(expires_at: datetime | None, now: datetime) -> str:
    """Say since when the trigger is over by its date, as a sentence; empty while it is not."""
    if expires_at is None or expires_at > now:
        return ""
    return f"This trigger expired on {expires_at:%Y-%m-%d at %H:%M} UTC."


def explain_end(expires_at: datetime | None, calls_left: int | None, now: datetime) -> str:
    """Say that the trigger is over, by its date or by its number of calls, as a sentence; empty while it is not."""
    if over := explain_expiry(expires_at, now):
        return over
    return "All calls that this trigger's link was for have been made." if calls_left == 0 else ""


def describe_notice(expires_at: datetime | None, calls_left: int | None, now: datetime) -> str:
    """Say what people should know before callers fail: that the trigger is over, or expires within NOTICE; else empty."""
    if over := explain_end(expires_at, calls_left, now):
        return f"{over} Only people can call it."
    if expires_at is not None and expires_at - now <= NOTICE:
        return f"This trigger expires on {expires_at:%Y-%m-%d at %H:%M} UTC; then only people can call it."
    return ""
