"""Why a registry gave no answer, or no useful one, as a typed error with a message."""

import http.client
import re
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import requests
import urllib3

from clusters.causes import walk_causes
from clusters.registry.access import PullLimit, describe_seconds
from clusters.registry.challenge import read_json
from clusters.registry.errors import RegistryError

QUOTE_LIMIT = 200  # characters of a registry's own message that are quoted
LONGEST_WAIT = 86400  # seconds, the longest wait that is accepted from a registry
LARGEST_NUMBER = 2**31 - 1  # the largest number that the database keeps


def find_exception(error: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    return next((cause for cause in walk_causes(error) if isinstance(cause, kinds)), None)


def classify_transport_failure(error: BaseException, place: str) -> RegistryError:
    """Return the error for an exception of the HTTP libraries. `place` is the host of the request."""
    if cause := find_exception(error, ssl.SSLError):
        return classify_tls_failure(cause, place)
    if find_exception(error, TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError):
        return RegistryError(f"{place} did not answer in time.", "timeout")
    if find_exception(error, requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return RegistryError(f"The proxy for {place} did not answer. Check HTTPS_PROXY and NO_PROXY.", "unreachable")
    if find_exception(error, socket.gaierror):
        return RegistryError(
            f"The host name {place} cannot be resolved. Check the registry's host and the name server.", "unreachable"
        )
    if find_exception(error, ConnectionRefusedError):
        return RegistryError(f"{place} refused the connection. Check that the registry is running there.", "unreachable")
    if find_exception(error, http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionError):
        return RegistryError(f"{place} closed the connection before its answer was complete.", "unreachable")
    if find_exception(error, http.client.HTTPException):
        return RegistryError(f"{place} does not answer with HTTP. Check the registry's host and port.", "bad_answer")
    if find_exception(error, ValueError):
        return RegistryError(f"{place} is not a valid address. Check the registry's host.", "bad_answer")
    words = next((cause.strerror for cause in walk_causes(error) if isinstance(cause, OSError) and cause.strerror), "")
    return RegistryError(f"{place} cannot be reached{f': {words}' if words else ''}.", "unreachable")


def classify_tls_failure(cause: BaseException, place: str) -> RegistryError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = cause.verify_message.rstrip(".")
        advice = " Store the CA certificate of this registry." if "issuer" in why or "self" in why else ""
        return RegistryError(f"The certificate of {place} was refused: {why}.{advice}", "tls", permanent=True)
    if getattr(cause, "reason", "") in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return RegistryError(
            f"{place} answers without TLS. Check its port, or choose plain HTTP for it under Registries.",
            "tls",
            permanent=True,
        )
    return RegistryError(f"The TLS connection to {place} failed: {getattr(cause, 'reason', None) or 'no reason given'}.", "tls")


def classify_status(
    status: int, headers: Any, body: bytes, *, place: str, who: str, what: str, has_token: bool = False
) -> RegistryError:
    """Return the error for an unexpected status.

    `who` is such as "the user name and password of 'ann'", `what` is what the request was for. With `has_token`, the request
    had a token that was granted to `who`, so that a 401 is about `what`.
    """
    said = quote_reason(body)
    limit = read_limit(headers)
    if status == 401 and not has_token:
        return RegistryError(f"{place} refused {who} (401){said}.", "unauthorized", permanent=True, limit=limit)
    if status in {401, 403}:
        return RegistryError(f"{place} refused {what} for {who} ({status}){said}.", "forbidden", permanent=True, limit=limit)
    if status == 404:
        return RegistryError(f"{place} did not find {what} (404){said}.", "not_found", permanent=True, limit=limit)
    if status == 429:
        return make_rate_limit_error(headers, place, limit)
    if status >= 500:
        wait = read_wait(headers)
        return RegistryError(f"{place} failed with {name_status(status)}{said}.", "server_error", retry_after=wait, limit=limit)
    if status == 400 and b"HTTPS server" in body:
        return RegistryError(f"{place} speaks TLS. Turn off plain HTTP for this registry.", "tls", permanent=True)
    return RegistryError(
        f"{place} answered the request for {what} with {name_status(status)}{said}.", "bad_answer", limit=limit
    )


def make_rate_limit_error(headers: Any, place: str, limit: PullLimit | None) -> RegistryError:
    wait = read_wait(headers)
    quota = f" {limit}." if limit else ""
    again = f" It asked to wait {describe_seconds(wait)}." if wait else ""
    message = f"{place} accepts no more requests for now (429).{quota}{again}"
    return RegistryError(message, "rate_limited", retry_after=wait, limit=limit)


def name_status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def quote_reason(body: bytes) -> str:
    """Return such as `: "incorrect username or password"` from an error body or a token endpoint's `details`, or ""."""
    answer = read_json(body[: 1 << 16])
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else answer
    words = (first.get("message") or first.get("details") or first.get("code")) if isinstance(first, dict) else None
    text = words.strip().rstrip(".")[:QUOTE_LIMIT] if isinstance(words, str) else ""
    return f': "{text}"' if text else ""


def read_wait(headers: Any) -> int | None:
    """Read `Retry-After`: seconds, an HTTP date, or Docker Hub's Unix time. Return seconds, at most LONGEST_WAIT."""
    text = headers.get("Retry-After", "").strip()[:64]
    if re.fullmatch(r"[0-9]{1,12}", text):
        seconds = int(text)
        seconds = seconds - int(time.time()) if seconds > 10**9 else seconds
    elif text:
        try:
            seconds = int(parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None
    else:
        return None
    return min(max(seconds, 0), LONGEST_WAIT)


def read_limit(headers: Any) -> PullLimit | None:
    """Read `RateLimit-Limit: 100;w=21600` and `RateLimit-Remaining: 76;w=21600`."""
    limit = re.match(r"\s*([0-9]{1,10})\s*(?:;\s*w=([0-9]{1,10}))?", headers.get("RateLimit-Limit", ""))
    remaining = re.match(r"\s*([0-9]{1,10})", headers.get("RateLimit-Remaining", ""))
    if not limit or not remaining:
        return None
    numbers = (int(limit[1]), int(remaining[1]), int(limit[2] or 0))
    return PullLimit(*(min(number, LARGEST_NUMBER) for number in numbers))
