"""HTTP for registries, within a deadline and a size limit whatever the other side does.

`requests` alone limits only the silence between two bytes, follows redirects of a POST, and uses `.netrc` and cookies.
"""

import contextlib
import http.cookiejar
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies

from clusters.registry.errors import RegistryError
from clusters.registry.failures import classify_transport_failure

BODY_LIMIT = 4 << 20  # bytes; the Distribution specification sets the same limit for manifests
REDIRECT_LIMIT = 5
REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Answer:
    """A whole answer. `url` is where it came from, after redirects."""

    status: int
    headers: CaseInsensitiveDict[str]
    body: bytes
    url: str

    @property
    def is_page(self) -> bool:
        """True for a page for browsers, as login portals and wrong addresses return."""
        start = self.body[:64].lstrip().lower()
        return "html" in self.headers.get("Content-Type", "").lower() or start.startswith((b"<!doctype", b"<html"))


class Lifeline:
    """The socket that an exchange reads from, so that another thread can cut it."""

    def __init__(self) -> None:
        self._lock, self._socket, self._is_cut = threading.Lock(), None, False

    def hold(self, found: Any) -> None:
        with self._lock:
            self._socket = found
            self._cut_socket()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            self._cut_socket()

    def _cut_socket(self) -> None:
        if self._is_cut and self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(
                    self._socket, socket.SHUT_RDWR
                )  # not SSLSocket's own method, which discards its TLS state


_held = threading.local()  # `lifeline` is that of this thread's exchange


class HeldHTTPConnection(urllib3.connection.HTTPConnection):
    def getresponse(self) -> Any:
        _held.lifeline.hold(self.sock)
        return super().getresponse()


class HeldHTTPSConnection(urllib3.connection.HTTPSConnection):
    def getresponse(self) -> Any:
        _held.lifeline.hold(self.sock)
        return super().getresponse()


class HeldHTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = HeldHTTPConnection


class HeldHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = HeldHTTPSConnection


class RegistryAdapter(HTTPAdapter):
    """Verifies certificates by the context alone, and makes connections that a Lifeline can cut."""

    pools: Mapping[str, type[urllib3.HTTPConnectionPool]] = {"http": HeldHTTPPool, "https": HeldHTTPSPool}

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self.context, **options)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self.context, **options)
        manager.pool_classes_by_scheme = self.pools
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave it to the context: requests would add its own bundle."""


@lru_cache(maxsize=32)  # reading the system's certificates takes longer than a request
def make_context(ca: str) -> ssl.SSLContext:
    """Return a context that trusts the system's certificates (else requests' bundle) and `ca`, in PEM. Raises RegistryError."""
    context = ssl.create_default_context()
    if not context.get_ca_certs():
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if ca:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # allow an intermediate authority, as Docker does
        try:
            context.load_verify_locations(cadata=ca)
        except (ssl.SSLError, ValueError) as error:
            raise RegistryError(
                "The stored CA certificate cannot be read. Store one or more certificates in PEM.", "tls", permanent=True
            ) from error
    return context


class RegistryTransport:
    """Sends requests, for one thread at a time, through the proxies that the environment names."""

    adapter: type[RegistryAdapter] = RegistryAdapter
    body_limit = BODY_LIMIT

    def __init__(self, ca: str = "") -> None:
        """Raises RegistryError (`tls`) for a CA that cannot be read."""
        self._context = make_context(ca)
        self._open()

    def _open(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(NoCookies())
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self.adapter(self._context))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registry")

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        deadline: float,
        form: Mapping[str, str] | bytes | None = None,
    ) -> Answer:
        """Send a request and return the answer, after the redirects of a GET or HEAD. `deadline` is a time.monotonic().

        `Authorization` is sent only to the URL's own scheme, host and port. Raises RegistryError (unreachable, timeout, tls,
        bad_answer).
        """
        headers = {"Accept-Encoding": "identity", "User-Agent": "Windlass", **headers}
        for _ in range(REDIRECT_LIMIT + 1):
            answer = self.exchange(method, url, headers, deadline, form)
            if answer.status not in REDIRECTS:
                return answer
            target = choose_redirect(method, answer)
            if find_origin(target) != find_origin(url):
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            url = target
        raise RegistryError(f"{name_host(url)} redirects too often.", "bad_answer")

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], deadline: float, form: Mapping[str, str] | bytes | None
    ) -> Answer:
        """Send one request in a thread, so that the caller never waits past the deadline, not even for name resolution. Raises
        the same as `send`."""
        patience = deadline - time.monotonic()
        place = name_host(url)
        if patience <= 0:
            raise make_timeout(place)
        lifeline = Lifeline()
        work = self._thread.submit(run_with_lifeline(lifeline, lambda: self._request(method, url, headers, patience, form)))
        try:
            return work.result(patience)
        except FutureTimeout as error:
            self._abandon(lifeline)
            raise make_timeout(place) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise classify_transport_failure(error, place) from error

    def _abandon(self, lifeline: Lifeline) -> None:
        """Cut the socket, which ends the thread, and start a new one."""
        lifeline.cut()
        self._thread.shutdown(wait=False)
        self._open()

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], patience: float, form: Mapping[str, str] | bytes | None
    ) -> Answer:
        with self._session.request(
            method,
            url,
            headers=dict(headers),
            data=form,
            timeout=patience,
            allow_redirects=False,
            stream=True,
            proxies=self.find_proxies(url),
        ) as response:
            return Answer(response.status_code, response.headers, self.read_body(response), url)

    def read_body(self, response: requests.Response) -> bytes:
        return read_answer_body(response, self.body_limit)

    def find_proxies(self, url: str) -> dict[str, str]:
        return get_environ_proxies(url)


class NoCookies(http.cookiejar.DefaultCookiePolicy):
    def set_ok(self, *_: Any) -> bool:
        return False


def run_with_lifeline(lifeline: Lifeline, work: Callable[[], Answer]) -> Callable[[], Answer]:
    def run() -> Answer:
        _held.lifeline = lifeline
        return work()

    return run


def read_answer_body(response: requests.Response, limit: int = BODY_LIMIT) -> bytes:
    """Return the bytes as sent, undecoded, because digests are of these bytes. Raises RegistryError beyond `limit` bytes."""
    body = bytearray()
    while chunk := response.raw.read(1 << 16, decode_content=False):
        body += chunk
        if len(body) > limit:
            place = name_host(response.url)
            raise RegistryError(f"{place} answered with more than {limit >> 10} kB. Check that it is a registry.", "bad_answer")
    return bytes(body)


def choose_redirect(method: str, answer: Answer) -> str:
    """Return the target of a redirect. It must be https, or at the same origin. Raises RegistryError."""
    place = name_host(answer.url)
    try:
        target = urljoin(answer.url, answer.headers.get("Location", ""))
        is_address = "@" not in urlsplit(target).netloc  # requests would send the part before the @ as credentials
    except ValueError as error:
        raise RegistryError(f"{place} redirects to an invalid address.", "bad_answer") from error
    if not is_address:
        raise RegistryError(f"{place} redirects to an address with credentials. Windlass does not follow it.", "bad_answer")
    if method not in {"GET", "HEAD"}:
        raise RegistryError(f"{place} redirects a {method} to {name_host(target)}. Check the registry's host.", "bad_answer")
    if urlsplit(target).scheme != "https" and find_origin(target) != find_origin(answer.url):
        raise RegistryError(f"{place} redirects to {name_host(target)} without TLS. Windlass does not follow it.", "bad_answer")
    return target


def find_origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port. The port is 0 where it cannot be read."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", find_port(parts)


def find_port(parts: SplitResult) -> int:
    try:
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return 0


def name_host(url: str) -> str:
    """Return the URL's host, with its port where it has one, for a message. The rest of a foreign URL is not shown."""
    return urlsplit(url).netloc.rpartition("@")[2][:100] or "the registry"


def make_timeout(place: str) -> RegistryError:
    return RegistryError(f"{place} did not answer in time.", "timeout")
