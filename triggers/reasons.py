"""The reasons that steer what Windlass does or answers. A driver's own error codes also become reasons, and pass unchanged."""

from enum import StrEnum


class Reason(StrEnum):
    """A value of TriggerCall.reason. Callers and scripts read these words, so a value never changes."""

    # Of a rejected call.
    DISABLED = "disabled"
    PROTECTED = "protected"
    TAG = "tag"
    COOLDOWN = "cooldown"
    FROZEN = "frozen"
    # Of a rejected call of a registry or of polling, and of a refused call of the trigger's link.
    EXPIRED = "expired"
    # Of a refused call of a trigger's link: there is no row of it.
    ADDRESS = "address"
    RATE = "rate"
    IN_ADDRESS = "in_address"
    # Of a rejected call that was cancelled in the queue, or of a running one that was rolled back or failed.
    CANCELLED = "cancelled"
    # Of a failed call.
    TOO_YOUNG = "too_young"
    LOST = "lost"
    TIMED_OUT = "timed_out"
    INTERNAL_ERROR = "internal_error"
    # Of a succeeded call that found nothing to do.
    UNCHANGED = "unchanged"
