"""Whether this worker process is being stopped."""

import time


class Stopping:
    """Once it has begun, the process takes no more calls; after a grace period it hands over those that it runs."""

    def __init__(self) -> None:
        self._hand_over_at: float | None = None

    def begin(self, grace: float) -> None:
        """`grace` is in seconds. Called in a signal handler, so it takes no lock."""
        if self._hand_over_at is None:
            self._hand_over_at = time.monotonic() + grace

    @property
    def has_begun(self) -> bool:
        return self._hand_over_at is not None

    @property
    def is_over(self) -> bool:
        return self._hand_over_at is not None and time.monotonic() >= self._hand_over_at


stopping = Stopping()
