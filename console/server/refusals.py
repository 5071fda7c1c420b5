"""Counts the requests that the door turns away, and logs them in a line at most every LINE_SECONDS: no flood fills the log."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import structlog

from clusters.meters import REQUESTS_TURNED_AWAY

log = structlog.get_logger("windlass.server")

LINE_SECONDS = 10.0
CLIENT_LEFT = 499  # nginx's code for a client that closed the connection before it was answered


class RefusalLog:
    """For use in the event loop's thread."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def count(self, status: int, scope: Mapping[str, Any]) -> None:
        """Count a request that got `status`. `scope` is ASGI's; its client is the one that the log names."""
        REQUESTS_TURNED_AWAY.add(str(status))
        if not self._counts:
            asyncio.get_running_loop().call_later(LINE_SECONDS, self._report, scope["client"][0])
        self._counts[status] += 1

    def _report(self, address: str) -> None:
        counts = {f"status_{status}": number for status, number in sorted(self._counts.items())}
        self._counts.clear()
        log.warning("requests turned away before they were read", first_address=address, **counts)
