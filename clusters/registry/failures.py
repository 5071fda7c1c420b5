"""Why no answer came, or none that helps, as a typed error with a sentence."""

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

QUOTE_LIMIT = 200  # characters of a registry's own words in a sentence
LONGEST_WAIT = 86400  # seconds that a registry may ask for
LARGEST_NUMBER = 2**31 - 1  # what the database keeps


def find_cause(error: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    return next((cause for cause in walk_causes(error) if isinstance(cause, kinds)), None)


def describe_failure(error: BaseException, place: str) -> RegistryError:
    """For what HTTP libraries raise. `place`: the host that was asked."""
    if cause := find_cause(error, ssl.SSLError):
        return describe_tls_failure(cause, place)
    if find_cause(error, TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError):
        return RegistryError(f"{place} did not answer in time.", "timeout")
    if find_cause(error, requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return RegistryError(f"The proxy to {place} did not answer.", "unreachable")
    if find_cause(error, socket.gaierror):
        return RegistryError(f"The name {place} cannot be resolved.", "unreachable")
    if find_cause(error, ConnectionRefusedError):
        return RegistryError(f"{place} refused the connection.", "unreachable")
    if find_cause(error, http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionError):
        return RegistryError(f"{place} closed the connection without a whole answer.", "unreachable")
    if find_cause(error, http.client.HTTPException):
        return RegistryError(f"{place} answers with something that is no HTTP.", "bad_answer")
    if find_cause(error, ValueError):
        return RegistryError(f"{place} is not an address that can be asked.", "bad_answer")
    words = next((cause.strerror for cause in walk_causes(error) if isinstance(cause, OSError) and cause.strerror), "")
    return RegistryError(f"{place} cannot be reached{f': {words}' if words else ''}.", "unreachable")


def describe_tls_failure(cause: BaseException, place: str) -> RegistryError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = cause.verify_message.rstrip(".")
        advice = " Store its CA certificate." if "issuer" in why or "self" in why else ""
        return RegistryError(f"The certificate of {place} is refused: {why}.{advice}", "tls", permanent=True)
    if getattr(cause, "reason", "") in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return RegistryError(f"{place} answers without TLS.", "tls", permanent=True)
    return RegistryError(f"No TLS connection to {place}: {getattr(cause, 'reason', None) or 'it failed'}.", "tls")


def describe_status(
    status: int, headers: Any, body: bytes, *, place: str, who: str, what: str, has_token: bool = False
) -> RegistryError:
    """For an answer that is none of those wanted.

    `who`: "the user name and password of 'ann'"; `what`: what was asked for; `has_token`: it was asked for with a token that
    was granted for `who`, so that a 401 is about `what`.
    """
    said = quote_reason(body)
    limit = read_limit(headers)
    if status == 401 and not has_token:
        return RegistryError(f"{place} refuses {who} (401){said}.", "unauthorized", permanent=True, limit=limit)
    if status in {401, 403}:
        return RegistryError(f"{place} forbids {what} with {who} ({status}){said}.", "forbidden", permanent=True, limit=limit)
    if status == 404:
        return RegistryError(f"{place} does not find {what} (404){said}.", "not_found", permanent=True, limit=limit)
    if status == 429:
        return describe_rate_limit(headers, place, limit)
    if status >= 500:
        wait = read_wait(headers)
        return RegistryError(f"{place} fails with {name_status(status)}{said}.", "server_error", retry_after=wait, limit=limit)
    if status == 400 and b"HTTPS server" in body:
        return RegistryError(f"{place} speaks TLS: it must not be asked by plain HTTP.", "tls", permanent=True)
    return RegistryError(f"{place} answers {what} with {name_status(status)}{said}.", "bad_answer", limit=limit)


def describe_rate_limit(headers: Any, place: str, limit: PullLimit | None) -> RegistryError:
    wait = read_wait(headers)
    quota = f" {limit}." if limit else ""
    again = f" It asks to wait {describe_seconds(wait)}." if wait else ""
    message = f"{place} takes no more requests for now (429).{quota}{again}"
    return RegistryError(message, "rate_limited", retry_after=wait, limit=limit)


def name_status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def quote_reason(body: bytes) -> str:
    """`: "incorrect username or password"`, from the specification's error form or a token endpoint's `details`; else empty."""
    answer = read_json(body[: 1 << 16])
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else answer
    words = (first.get("message") or first.get("details") or first.get("code")) if isinstance(first, dict) else None
    text = words.strip().rstrip(".")[:QUOTE_LIMIT] if isinstance(words, str) else ""
    return f': "{text}"' if text else ""


def read_wait(headers: Any) -> int | None:
    """`Retry-After`: seconds, an HTTP date, or the second since 1970 that Docker Hub writes. At most LONGEST_WAIT."""
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
    """`RateLimit-Limit: 100;w=21600` and `RateLimit-Remaining: 76;w=21600`."""
    limit = re.match(r"\s*([0-9]{1,10})\s*(?:;\s*w=([0-9]{1,10}))?", headers.get("RateLimit-Limit", ""))
    remaining = re.match(r"\s*([0-9]{1,10})", headers.get("RateLimit-Remaining", ""))
    if not limit or not remaining:
        return None
    numbers = (int(limit[1]), int(remaining[1]), int(limit[2] or 0))
    return PullLimit(*(min(number, LARGEST_NUMBER) for number in numbers))
