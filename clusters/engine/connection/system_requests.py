"""Requests about the engine as a whole: its version, its state, its disk and its past events."""

import json
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from clusters.engine.connection.podman import translate_disk_usage
from clusters.engine.connection.requester import EngineRequester
from clusters.engine.errors import EngineUnreachable

VERSION_PATIENCE = 8.0  # seconds
INFO_PATIENCE = 25.0  # seconds
EVENTS_LIMIT = 4 << 20  # bytes


class SystemRequests(EngineRequester):
    """The part of EngineClient that asks about the engine as a whole."""

    def version(self) -> dict[str, Any]:
        """Send GET /version, the cheapest request. An engine that does not answer it soon counts as lost."""
        with self._translated(), self.patience(min(self.timeout, VERSION_PATIENCE)):
            return self.api.version()

    def info(self) -> dict[str, Any]:
        """Send GET /info. A manager takes 20 s to find out that its Swarm has no leader."""
        with self._translated(), self.patience(max(self.timeout, INFO_PATIENCE)):
            return self.api.info()

    def disk_usage(self) -> dict[str, Any]:
        """Send GET /system/df. The engine measures its disk for the answer, which can take long."""
        with self._translated():
            usage: dict[str, Any] = self._get_json("/system/df", {})
            return translate_disk_usage(usage) if self.libpod_version else usage

    def list_events(self, since: float, until: float) -> list[dict[str, Any]]:
        """Return the events between two moments, oldest first. An engine remembers its last 256.

        Both are Unix times of the engine's clock; `until` must not lie in the future.
        """
        with self._translated():
            params = {"since": f"{since:.6f}", "until": f"{until:.6f}"}
            if self.libpod_version:  # it loses events before an `until` in the past
                params = {"since": f"{since:.6f}", "stream": "false"}
            answer = self._raw._get(self._raw._url("/events"), params=params, stream=True)
            with closing(answer):
                self._raw._raise_for_status(answer)
                found = read_json_lines(answer.iter_content(65_536), EVENTS_LIMIT)
                if self.libpod_version:
                    return [event for event in found if (event.get("timeNano") or 0) <= until * 1e9]
                return found


def read_json_lines(chunks: Iterable[bytes], limit: int) -> list[dict[str, Any]]:
    """Return the JSON objects of a stream that has one on each line. Stop after `limit` bytes; drop an incomplete last line.

    Raises EngineUnreachable.
    """
    text = bytearray()
    for chunk in chunks:
        text += chunk
        if len(text) > limit:
            break
    lines = [line for line in bytes(text[:limit]).split(b"\n")[:-1] if line.strip()]
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise EngineUnreachable("The engine's answer cannot be read.") from error
