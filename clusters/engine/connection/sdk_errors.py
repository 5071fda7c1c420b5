"""The Docker SDK's errors as EngineErrors: no other error leaves `clusters.engine`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from docker.errors import APIError, DockerException

from clusters.engine.connection.failures import describe_connection_failure
from clusters.engine.connection.podman import classify_message
from clusters.engine.errors import (
    EngineError,
    EngineRefused,
    EngineUnreachable,
    NotManager,
    SwarmUnavailable,
    TargetMissing,
)

# moby's ErrSwarmLocked: the manager was started again with autolock on.
LOCKED = "needs to be unlocked"
UNLOCK = "Run `docker swarm unlock` on that machine with the unlock key."
LEADERLESS = (
    "does not have a leader",
    "has no leader",
    "context deadline exceeded",
    "code = unavailable",
    "code = deadlineexceeded",
)


FORBIDDEN = {401, 403, 405}
TAG = re.compile(r"<[^<>]{0,200}>")  # of a proxy's error page
VERSION = re.compile(r"^/v[0-9.]+(?=/)")  # of the API, in an address


@contextmanager
def translated_errors(url: str = "") -> Iterator[None]:
    """Raise the errors of the SDK and of the transport as EngineError. The message names the engine's address, `url`."""
    try:
        yield
    except EngineError:
        raise
    except APIError as error:
        raise classify_refusal(error.status_code, describe_refusal(error)) from error
    except (requests.exceptions.RequestException, DockerException, OSError) as error:
        raise EngineUnreachable(describe_connection_failure(error, url)) from error


def describe_refusal(error: APIError) -> str:
    """Return what the engine said, or the proxy before it. A request that was forbidden is named: engines forbid none, but
    proxies before their sockets do, and authorization plugins."""
    words = " ".join(TAG.sub(" ", str(error.explanation or error)).split())[:1000]
    if error.status_code not in FORBIDDEN:
        return words
    request = getattr(error.response, "request", None)
    path = VERSION.sub("", urlsplit(str(getattr(request, "url", ""))).path) or "a request"
    what = f"{getattr(request, 'method', '') or ''} {path}".strip()
    return f"{what} is forbidden by what stands before the engine, a socket proxy or a plugin ({error.status_code}: {words})."


def classify_refusal(status: int | None, message: str) -> EngineError:
    """Return a typed error for the engine's status and message.

    Swarm's errors all have status 500 or 503, so only the message can tell them apart.
    """
    if status == 404:
        return TargetMissing(message)
    lowered = message.lower()
    if "not a swarm manager" in lowered or "not part of a swarm" in lowered:
        return NotManager(message)
    if LOCKED in lowered:
        return SwarmUnavailable(f"Its Swarm is locked, because the engine was restarted. {UNLOCK}")
    if any(words in lowered for words in LEADERLESS) and "/v2/" not in lowered:  # with /v2/, a registry did not answer
        return SwarmUnavailable(f"The Swarm cannot answer at the moment: {message}")
    if "update out of sequence" in lowered:
        return EngineRefused(message, code="out_of_sequence")
    return EngineRefused(message, code="conflict" if status == 409 else classify_message(message))
