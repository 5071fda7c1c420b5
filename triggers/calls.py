"""The life of a TriggerCall. The only writer of TriggerCall.state."""

from triggers.models import TriggerCall
from triggers.requests import CallRequest


class QueueFull(Exception):
    """Too many calls wait already; the message says which limit. The caller should try again later."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def accept_call(request: CallRequest) -> TriggerCall:
    """Record the call: `queued`, `coalesced` or `rejected`; committed, and published on commit. Raises QueueFull."""
    raise NotImplementedError
