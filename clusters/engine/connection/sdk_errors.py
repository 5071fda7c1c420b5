"""The Docker SDK's errors as EngineErrors: no other error leaves `clusters.engine`."""

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def translated_errors(url: str = "") -> Iterator[None]:
    """Raise the errors of the SDK and of the transport as EngineError. The message names the engine's address, `url`."""
    try:
        yield
    except EngineError:
        raise
    except APIError as error:
        message = str(error.explanation or error).strip()[:1000]
        raise classify_refusal(error.status_code, message) from error
    except (requests.exceptions.RequestException, DockerException, OSError) as error:
        raise EngineUnreachable(describe_connection_failure(error, url)) from error


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
