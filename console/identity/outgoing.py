"""Requests to identity providers, within a deadline and a size limit whatever the other side does."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog

from clusters.registry.errors import RegistryError
from clusters.waits import wait_for_registry
from console.identity.errors import IdentityError

log = structlog.get_logger("windlass.identity")

SENTENCES = {
    "timeout": "{host} did not answer in time.",
    "tls": "The certificate of {host} was refused.",
    "busy": "{host} answers too slowly, and others already wait for it.",
    "bad_answer": "{host} gave an answer that cannot be read.",
}
OTHERWISE = "Try again later, or sign in with a password."

Claims = dict[str, Any]


def request_json(
    url: str, deadline: float, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
) -> tuple[int, Claims]:
    """Send a GET, or a POST of `form`. Return the status and the JSON object; it is empty where the answer is none."""
    from clusters.registry.transport import RegistryTransport

    host = name_host(url)
    try:
        with wait_for_registry(f"identity {host}"):
            transport = RegistryTransport()
            try:
                answer = transport.send(
                    "GET" if form is None else "POST", url, {"Accept": "application/json", **(headers or {})}, deadline, form
                )
            finally:
                transport.close()
    except RegistryError as error:
        log.warning("an identity provider did not answer", host=host, code=error.code, error=error.message)
        sentence = SENTENCES.get(error.code, "{host} cannot be reached.").format(host=host)
        raise IdentityError(error.code, f"{sentence} {OTHERWISE}") from error
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    return answer.status, found if isinstance(found, dict) else {}


def name_host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2][:100]
