"""The engine's live event stream, reduced to one question: has something happened? `inspection` has the past events."""

import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from requests.exceptions import ChunkedEncodingError

from clusters.engine.connection.sdk_errors import translated_errors
from clusters.engine.errors import EngineUnreachable

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

ANSWER_SECONDS = 5.0  # how long after `until` an engine that has not ended the stream counts as silent


class EventStream:
    """The events between two moments of the engine's clock (Unix times); use it as a context manager.

    `filters` are in the Engine API's form. The engine itself ends the stream at `until`.
    """

    def __init__(self, client: "EngineClient", since: float, until: float, filters: Mapping[str, Sequence[str]]) -> None:
        """Raises EngineError."""
        api: Any = client.api
        self._url = client.address
        params = {"since": f"{since:.6f}", "until": f"{until:.6f}", "filters": json.dumps(filters)}
        with translated_errors(self._url):
            # Not api.events(): it would wait forever, even for an engine that no longer exists.
            self._response = api._get(api._url("/events"), params=params, stream=True, timeout=until - since + ANSWER_SECONDS)
            api._raise_for_status(self._response)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.interrupt()
        self._response.close()

    def wait_for_event(self) -> bool:
        """Return True at the first event, or False when `until` has passed without one. Raises EngineUnreachable.

        Also returns True when the stream breaks off, because the engine stops or `interrupt` was called: the next request shows
        which.
        """
        try:
            with translated_errors(self._url):
                return bool(next(self._response.iter_content(1), b""))
        except EngineUnreachable as error:
            if isinstance(error.__cause__, ChunkedEncodingError):
                return True
            raise

    def interrupt(self) -> None:
        """Wake up the thread that waits. Over ssh there is no socket to close, and it waits until `until`."""
        connection = getattr(self._response.raw, "_fp", None)
        stream = getattr(getattr(connection, "fp", None), "raw", None)
        if isinstance(sock := getattr(stream, "_sock", None), socket.socket):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
