"""HTTP for channels: to judged addresses, within a deadline whatever the other side does, and without redirects."""

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

import requests
import urllib3
from requests.utils import get_environ_proxies

from clusters.causes import walk_causes
from clusters.registry.errors import RegistryError
from clusters.registry.transport import (
    Answer,
    HeldHTTPConnection,
    HeldHTTPPool,
    HeldHTTPSConnection,
    HeldHTTPSPool,
    Lifeline,
    RegistryAdapter,
    RegistryTransport,
    name_host,
)
from triggers.notifications.addresses import ForbiddenAddress, connect
from triggers.notifications.outcomes import NotSent

SECONDS = 15.0  # for one message
ANSWER_BYTES = 8192  # read of an answer; the rest is left

Value = TypeVar("Value")


def judged_connection(self: urllib3.connection.HTTPConnection) -> socket.socket:
    timeout = self.timeout if isinstance(self.timeout, (int, float)) else SECONDS
    return connect(self._dns_host, self.port, timeout)


class ChannelHTTPConnection(HeldHTTPConnection):
    _new_conn = judged_connection


class ChannelHTTPSConnection(HeldHTTPSConnection):
    _new_conn = judged_connection


class ChannelHTTPPool(HeldHTTPPool):
    ConnectionCls = ChannelHTTPConnection


class ChannelHTTPSPool(HeldHTTPSPool):
    ConnectionCls = ChannelHTTPSConnection


class ChannelAdapter(RegistryAdapter):
    pools = {"http": ChannelHTTPPool, "https": ChannelHTTPSPool}


class ChannelTransport(RegistryTransport):
    """For addresses that an operator chose. No proxy is used, since it would resolve the name again."""

    adapter: type[RegistryAdapter] = ChannelAdapter

    def find_proxies(self, url: str) -> dict[str, str]:
        return {}

    def read_body(self, response: requests.Response) -> bytes:
        """Return the beginning; the rest is left."""
        return response.raw.read(ANSWER_BYTES, decode_content=False)


class ProxiedTransport(ChannelTransport):
    """For the services whose hosts are known, by the proxy that the environment names."""

    adapter = RegistryAdapter
    find_proxies = RegistryTransport.find_proxies


def open_transport(url: str, ca: str = "", *, is_known: bool = False) -> ChannelTransport:
    """Return a transport for this address; the caller closes it. `is_known`: the host is not an operator's choice. Raises
    NotSent for a CA that cannot be read."""
    try:
        return ProxiedTransport(ca) if is_known and get_environ_proxies(url) else ChannelTransport(ca)
    except RegistryError as error:
        raise NotSent(error.message, is_final=True) from error


def exchange(
    transport: ChannelTransport, method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: float
) -> Answer:
    """Send one request and return its answer, of which the first ANSWER_BYTES are read. Raises NotSent."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "Windlass", **headers}
    try:
        return transport.exchange(method, url, headers, deadline, body)
    except RegistryError as error:
        raise explain_failure(error, name_host(url)) from error


def run_within(seconds: float, work: Callable[[Lifeline], Value], place: str) -> Value:
    """Run something in a thread that holds its socket by the lifeline, which is cut at the end of the time. Raises NotSent
    then, and what `work` raises."""
    lifeline = Lifeline()
    with_thread = ThreadPoolExecutor(1, thread_name_prefix="channel")
    try:
        return with_thread.submit(work, lifeline).result(seconds)
    except FutureTimeout as error:
        lifeline.cut()
        raise NotSent(f"{place} did not answer in time.") from error
    finally:
        with_thread.shutdown(wait=False)


def explain_failure(error: BaseException, place: str) -> NotSent:
    """Return why there is no answer. `place` is the host."""
    causes = list(walk_causes(error))
    if forbidden := next((cause for cause in causes if isinstance(cause, ForbiddenAddress)), None):
        return NotSent(str(forbidden), is_final=True)
    if refused := next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None):
        return NotSent(f"The certificate of {place} was refused: {refused.verify_message.rstrip('.')}.")
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return NotSent(f"The TLS connection to {place} failed.")
    if any(isinstance(cause, (TimeoutError, requests.Timeout, urllib3.exceptions.ReadTimeoutError)) for cause in causes):
        return NotSent(f"{place} did not answer in time.")
    if isinstance(error, RegistryError) and error.code == "timeout":
        return NotSent(f"{place} did not answer in time.")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return NotSent(f"The name {place} cannot be resolved.")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return NotSent(f"{place} refused the connection.")
    if any(isinstance(cause, (http.client.HTTPException, ConnectionError)) for cause in causes):
        return NotSent(f"{place} closed the connection before it had answered.")
    return NotSent(f"{place} cannot be reached.")


def start_deadline() -> float:
    return time.monotonic() + SECONDS
