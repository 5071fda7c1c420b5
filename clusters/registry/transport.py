"""HTTP for registries: in time whatever the other side does, and never more of an answer than is wanted.

`requests` alone bounds only the silence between two bytes, follows redirects with POST, and reads `.netrc` and cookies.
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
from clusters.registry.failures import describe_failure

BODY_LIMIT = 4 << 20  # bytes; the Distribution specification bounds manifests by the same
REDIRECT_LIMIT = 5
REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Answer:
    """A whole answer. `url`: where it came from, after redirects."""

    status: int
    headers: CaseInsensitiveDict[str]
    body: bytes
    url: str

    @property
    def is_page(self) -> bool:
        """Whether it is a page for browsers, as log-in portals and wrong addresses give."""
        start = self.body[:64].lstrip().lower()
        return "html" in self.headers.get("Content-Type", "").lower() or start.startswith((b"<!doctype", b"<html"))


class Lifeline:
    """The socket that an exchange reads from, for another thread to cut."""

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
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not SSLSocket's own: it forgets its TLS state


_held = threading.local()  # `lifeline`: of the exchange that this thread makes


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
    """Verifies by the context alone, and has connections that a Lifeline holds."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self.context, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": HeldHTTPPool, "https": HeldHTTPSPool}

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self.context, **options)
        manager.pool_classes_by_scheme = {"http": HeldHTTPPool, "https": HeldHTTPSPool}
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context does; requests would add its own bundle to it."""


@lru_cache(maxsize=32)  # reading what the system trusts takes longer than a request
def make_context(ca: str) -> ssl.SSLContext:
    """Trusts what the system trusts (requests' bundle on a system without one) and `ca`, in PEM. Raises RegistryError."""
    context = ssl.create_default_context()
    if not context.get_ca_certs():
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if ca:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate authority may be named, as Docker allows
        try:
            context.load_verify_locations(cadata=ca)
        except (ssl.SSLError, ValueError) as error:
            raise RegistryError(
                "The stored CA certificate cannot be read: it must be one or more certificates in PEM.", "tls", permanent=True
            ) from error
    return context


class Transport:
    """Requests of one thread at a time; proxies as the environment names them."""

    def __init__(self, ca: str = "") -> None:
        """Raises RegistryError (`tls`) for a CA that cannot be read."""
        self._context = make_context(ca)
        self._open()

    def _open(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(NoCookies())
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, RegistryAdapter(self._context))
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
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, after the redirects of a GET or HEAD. `deadline` in time.monotonic()'s seconds.

        `Authorization` goes to the URL's own scheme, host and port alone. Raises RegistryError (unreachable, timeout, tls,
        bad_answer).
        """
        headers = {"Accept-Encoding": "identity", "User-Agent": "Windlass", **headers}
        for _ in range(REDIRECT_LIMIT + 1):
            answer = self._exchange(method, url, headers, deadline, form)
            if answer.status not in REDIRECTS:
                return answer
            target = choose_redirect(method, answer)
            if find_origin(target) != find_origin(url):
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            url = target
        raise RegistryError(f"{name_place(url)} redirects in a circle.", "bad_answer")

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], deadline: float, form: Mapping[str, str] | None
    ) -> Answer:
        """One request in the client's thread, so that the caller waits no longer than the deadline, not for a name either."""
        patience = deadline - time.monotonic()
        place = name_place(url)
        if patience <= 0:
            raise make_timeout(place)
        lifeline = Lifeline()
        work = self._thread.submit(held(lifeline, lambda: self._request(method, url, headers, patience, form)))
        try:
            return work.result(patience)
        except FutureTimeout as error:
            self._abandon(lifeline)
            raise make_timeout(place) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise describe_failure(error, place) from error

    def _abandon(self, lifeline: Lifeline) -> None:
        """Leaves the thread to end by itself, which it does with its socket cut."""
        lifeline.cut()
        self._thread.shutdown(wait=False)
        self._open()

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], patience: float, form: Mapping[str, str] | None
    ) -> Answer:
        with self._session.request(
            method,
            url,
            headers=dict(headers),
            data=form,
            timeout=patience,
            allow_redirects=False,
            stream=True,
            proxies=get_environ_proxies(url),
        ) as response:
            return Answer(response.status_code, response.headers, read_body(response), url)


class NoCookies(http.cookiejar.DefaultCookiePolicy):
    def set_ok(self, *_: Any) -> bool:
        return False


def held(lifeline: Lifeline, work: Callable[[], Answer]) -> Callable[[], Answer]:
    def run() -> Answer:
        _held.lifeline = lifeline
        return work()

    return run


def read_body(response: requests.Response) -> bytes:
    """As sent, undecoded: digests are of these bytes. Raises RegistryError beyond BODY_LIMIT."""
    body = bytearray()
    while chunk := response.raw.read(1 << 16, decode_content=False):
        body += chunk
        if len(body) > BODY_LIMIT:
            place = name_place(response.url)
            raise RegistryError(f"{place} answers with more than {BODY_LIMIT >> 20} MB, which no registry does.", "bad_answer")
    return bytes(body)


def choose_redirect(method: str, answer: Answer) -> str:
    """Where a redirect may be followed to: https, or the same place. Raises RegistryError."""
    place = name_place(answer.url)
    try:
        target = urljoin(answer.url, answer.headers.get("Location", ""))
        is_address = "@" not in urlsplit(target).netloc  # requests would send what stands before it as credentials
    except ValueError as error:
        raise RegistryError(f"{place} redirects to an address that is none.", "bad_answer") from error
    if not is_address:
        raise RegistryError(f"{place} redirects to an address with credentials, which is not followed.", "bad_answer")
    if method not in {"GET", "HEAD"}:
        raise RegistryError(f"{place} redirects a {method} to {name_place(target)}: is the host the right one?", "bad_answer")
    if urlsplit(target).scheme != "https" and find_origin(target) != find_origin(answer.url):
        raise RegistryError(f"{place} redirects to {name_place(target)} without TLS, which is not followed.", "bad_answer")
    return target


def find_origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port; the port is 0 where there is none that can be read."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", find_port(parts)


def find_port(parts: SplitResult) -> int:
    try:
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return 0


def name_place(url: str) -> str:
    """The host for a sentence, with the port where it is written: without the rest of a URL that another wrote."""
    return urlsplit(url).netloc.rpartition("@")[2][:100] or "nowhere"


def make_timeout(place: str) -> RegistryError:
    return RegistryError(f"{place} did not answer in time.", "timeout")
