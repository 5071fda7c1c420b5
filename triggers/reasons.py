"""The reasons that steer what Windlass does or answers. A driver's own error codes also become reasons, and pass unchanged."""

from enum import StrEnum


class Reason(StrEnum):
    """A value of TriggerCall.reason. Callers and scripts read these words, so a value never changes."""

    # Of a rejected call.
    DISABLED = "disabled"
    PROTECTED = "protected"
    TAG = "tag"
    COOLDOWN = "cooldown"
    # Of a rejected call that was cancelled in the queue, or of a running one that was rolled back or failed.
    CANCELLED = "cancelled"
    # Of a failed call.
    LOST = "lost"
    TIMED_OUT = "timed_out"
    INTERNAL_ERROR = "internal_error"
    # Of a succeeded call that found nothing to do.
    UNCHANGED = "unchanged"
