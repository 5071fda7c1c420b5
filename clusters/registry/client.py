"""Talking to an image registry as the OCI Distribution specification has it: tokens, digests, and whether a push is allowed."""

import base64
import hashlib
import re
import time
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

from clusters.registry.access import TOKEN_USER, PullLimit, RegistryAccess, TagState
from clusters.registry.challenge import Challenge, choose_challenge, grants_push, read_json, read_token
from clusters.registry.credentials import read_helper_credentials
from clusters.registry.errors import RegistryError
from clusters.registry.failures import describe_status, read_limit
from clusters.registry.reference import DOCKER_HUB, PATH, is_digest, is_loopback, is_tag
from clusters.registry.transport import Answer, Transport, find_origin, name_place

__all__ = ["PullLimit", "RegistryAccess", "RegistryClient", "TagState", "read_helper_credentials"]

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
HUB_LIMIT_PATH = "ratelimitpreview/test"  # a HEAD of it tells Docker Hub's limit and counts for nothing
BASIC = "basic"
ETAG = re.compile(r"[\x21-\x7e]{1,200}")


class RegistryClient:
    """One registry, for as long as the `with` lasts; for one thread at a time."""

    def __init__(self, access: RegistryAccess, timeout: float = 10.0) -> None:
        """`timeout`: seconds for each of check, read_tag and may_push, whatever number of requests they take.

        Raises RegistryError (`tls`): plain HTTP elsewhere than on the loopback, or a CA that cannot be read.
        """
        if access.plain_http and not is_loopback(access.host):
            raise RegistryError("Plain HTTP is for this machine's loopback only.", "tls", permanent=True)
        self.access, self.timeout = access, timeout
        self._transport = Transport(access.ca)
        self._authorizations: dict[str, str] = {}  # by scope; Basic, which has none, under BASIC
        self._deadline = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Closes the connections."""
        self._transport.close()

    def check(self) -> PullLimit | None:
        """The credentials are accepted; without any, the registry answers. What it says of its limit, where it does.

        Raises RegistryError.
        """
        self._start()
        answer = self._ask("GET", "")
        if self.access.is_anonymous and answer.status == 401 and self._authorizations.get(""):
            return read_limit(answer.headers)  # it gives tokens to everyone, and its front page to nobody without an account
        self._require_registry(answer, {200})
        self._require_data(answer)
        if "Docker-Distribution-Api-Version" not in answer.headers and answer.body.strip() and read_json(answer.body) is None:
            raise RegistryError(f"{self.access.host} does not answer as a registry does.", "bad_answer")
        return read_limit(answer.headers) or (self._read_hub_limit() if self.access.host == DOCKER_HUB else None)

    def _read_hub_limit(self) -> PullLimit | None:
        """Raises RegistryError (`rate_limited`); what else goes wrong here is no fault of the credentials."""
        try:
            answer = self._ask_manifest("HEAD", HUB_LIMIT_PATH, "latest", {"Accept": ",".join(MANIFESTS)})
        except RegistryError as error:
            if error.code == "rate_limited":
                raise
            return None
        if answer.status == 429:
            raise self._refusal(answer, "a pull")
        return read_limit(answer.headers)

    def _require_registry(self, answer: Answer, wanted: set[int]) -> None:
        """Of an answer to `GET /v2/`. Raises RegistryError."""
        if answer.status == 404:
            message = f"There is no registry at {self.access.host}: it does not know /v2/ (404)."
            raise RegistryError(message, "not_found", permanent=True)
        if answer.status not in wanted:
            raise self._refusal(answer, "any access")

    def read_tag(self, path: str, tag: str, etag: str = "") -> TagState:
        """HEAD of the manifest (of the index, where there is one); `tag` may be a digest. Raises RegistryError."""
        self._start()
        require_name(path, tag)
        headers = {"Accept": ",".join(MANIFESTS)}
        if ETAG.fullmatch(etag):
            headers["If-None-Match"] = etag
        answer = self._ask_manifest("HEAD", path, tag, headers)
        digest = answer.headers.get("Docker-Content-Digest", "").strip()
        if answer.status in {405, 501} or (answer.status == 200 and not is_digest(digest)):
            answer = self._ask_manifest("GET", path, tag, headers)
            digest = answer.headers.get("Docker-Content-Digest", "").strip()
            if answer.status == 200 and not is_digest(digest):
                digest = self._compute_digest(answer)
        if answer.status == 304 and "If-None-Match" in headers:
            return TagState("", etag, read_limit(answer.headers))
        if answer.status != 200:
            raise self._refusal(answer, f"{path}:{tag}", scope=f"repository:{path}:pull")
        new_etag = answer.headers.get("ETag", "")
        return TagState(digest, new_etag if ETAG.fullmatch(new_etag) else "", read_limit(answer.headers))

    def _ask_manifest(self, method: str, path: str, tag: str, headers: dict[str, str]) -> Answer:
        return self._ask(method, f"{path}/manifests/{quote(tag, safe=':')}", f"repository:{path}:pull", headers)

    def _compute_digest(self, answer: Answer) -> str:
        """Raises RegistryError unless the body is a manifest."""
        self._require_data(answer)
        manifest = read_json(answer.body)
        if not isinstance(manifest, dict) or manifest.get("schemaVersion") != 2:
            raise RegistryError(f"{self.access.host} answers with something that is no manifest.", "bad_answer")
        return f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    def may_push(self, path: str) -> bool:
        """Whether the registry itself grants these credentials a push to the repository: by a token that has the scope, else by
        an upload that is opened and cancelled. Raises RegistryError when that cannot be found out."""
        self._start()
        require_name(path, "latest")
        scope = f"repository:{path}:pull,push"
        front = self._send("GET", "")
        self._require_registry(front, {200, 401})
        challenge = self._find_challenge(front)
        if challenge and challenge.scheme == "bearer":
            token = self._fetch_push_token(challenge, scope)
            granted = grants_push(token, path) if token else False
            if granted is not None:
                return granted
            self._authorizations[scope] = f"Bearer {token}"
        return self._probe_push(path, scope)

    def _fetch_push_token(self, challenge: Challenge, scope: str) -> str:
        """Empty where the endpoint refuses this scope, but not the credentials. Raises RegistryError."""
        try:
            return self._fetch_token(challenge, scope)
        except RegistryError as error:
            if error.code not in {"unauthorized", "forbidden"}:
                raise
        self._fetch_token(challenge, "")
        return ""

    def _probe_push(self, path: str, scope: str) -> bool:
        """Opens an upload and cancels it."""
        answer = self._ask("POST", f"{path}/blobs/uploads/", scope)
        if answer.status == 202:
            self._cancel_upload(answer, path)
            return True
        if answer.status == 401:
            self._require_login(answer)
        if answer.status in {401, 403, 405}:  # 405: a mirror, or one that is read-only for a while
            return False
        raise self._refusal(answer, f"an upload to {path}")

    def _require_login(self, refusal: Answer) -> None:
        """A refused push of credentials that are refused for everything says nothing about pushes. Raises RegistryError."""
        if not self.access.is_anonymous and self._ask("GET", "").status == 401:
            raise self._refusal(refusal, "a push")

    def _cancel_upload(self, opened: Answer, path: str) -> None:
        """As far as the registry lets it: an upload that stays is purged by the registry itself."""
        try:
            location = urlsplit(urljoin(opened.url, opened.headers.get("Location", "")))
            is_own = location.netloc == urlsplit(self.access.api_url).netloc
            session = location.path.removeprefix(f"/v2/{path}/blobs/uploads/")
            if not is_own or not session or session == location.path or ".." in session:
                return
            rest = location.path.removeprefix("/v2/") + (f"?{location.query}" if location.query else "")
            self._ask("DELETE", rest, f"repository:{path}:pull,push,delete")
        except (RegistryError, ValueError):
            return

    def _start(self) -> None:
        self._deadline = time.monotonic() + self.timeout

    def _ask(self, method: str, path: str, scope: str = "", headers: dict[str, str] | None = None) -> Answer:
        """The answer, after one try without credentials or with those that served the scope before, and one with those that
        the registry asks for."""
        known = self._authorizations.get(scope) or self._authorizations.get(BASIC, "")
        answer = self._send(method, path, known, headers)
        challenge = self._find_challenge(answer)
        fresh = self._authorize(challenge, scope) if challenge else ""
        if not fresh or fresh == known:
            return answer
        self._authorizations[BASIC if fresh.startswith("Basic") else scope] = fresh
        return self._send(method, path, fresh, headers)

    def _send(self, method: str, path: str, authorization: str = "", headers: dict[str, str] | None = None) -> Answer:
        all_headers = {**(headers or {}), **({"Authorization": authorization} if authorization else {})}
        return self._transport.send(method, f"{self.access.api_url}/v2/{path}", all_headers, self._deadline)

    def _find_challenge(self, answer: Answer) -> Challenge | None:
        """Of the registry itself: whoever it redirects to must not name the place that gets the credentials."""
        if answer.status != 401 or find_origin(answer.url) != find_origin(self.access.api_url):
            return None
        return choose_challenge(answer.headers.get("WWW-Authenticate", ""))

    def _authorize(self, challenge: Challenge, scope: str) -> str:
        """The `Authorization` header that answers the challenge; empty where there is nothing to answer with."""
        if challenge.scheme == "bearer":
            # Some endpoints give no token without a scope to those who name no account.
            asked = scope or (challenge.parameters.get("scope", "") if self.access.is_anonymous else "")
            return f"Bearer {self._fetch_token(challenge, asked)}"
        if self.access.is_anonymous or self.access.username == TOKEN_USER:
            return ""
        return make_basic(self.access)

    def _fetch_token(self, challenge: Challenge, scope: str) -> str:
        """Raises RegistryError: the endpoint refuses, does not answer, or may not be given credentials."""
        answer = self._ask_for_token(challenge, scope)
        place = name_place(answer.url)
        if answer.status != 200:
            raise self._refusal(answer, f"a token for {scope}" if scope else "a token", place=place)
        self._require_data(answer)
        if token := read_token(answer.body):
            return token
        raise RegistryError(f"{place} answers with no token.", "bad_answer")

    def _ask_for_token(self, challenge: Challenge, scope: str) -> Answer:
        realm = require_realm(challenge.realm, self.access)
        wanted = {"service": challenge.parameters.get("service", ""), "scope": scope}
        if self.access.username == TOKEN_USER:
            form = {"grant_type": "refresh_token", "client_id": "windlass", "refresh_token": self.access.password, **wanted}
            return self._transport.send("POST", realm, {}, self._deadline, form=form)
        headers = {}
        if not self.access.is_anonymous:
            wanted["account"] = self.access.username
            headers["Authorization"] = make_basic(self.access)
        return self._transport.send("GET", add_query(realm, wanted), headers, self._deadline)

    def _require_data(self, answer: Answer) -> None:
        """Raises RegistryError for a page, and for JSON that is broken."""
        place = name_place(answer.url)
        if answer.is_page:
            raise RegistryError(f"{place} answers with a web page: it is no registry, or behind a log-in.", "bad_answer")
        if "json" in answer.headers.get("Content-Type", "") and answer.body.strip() and read_json(answer.body) is None:
            raise RegistryError(f"{place} answers with broken JSON.", "bad_answer")

    def _refusal(self, answer: Answer, what: str, *, place: str = "", scope: str = "") -> RegistryError:
        body = b"" if len(self.access.password) > 3 and self.access.password.encode() in answer.body else answer.body
        has_token = not self.access.is_anonymous and self._authorizations.get(scope, "").startswith("Bearer")
        return describe_status(
            answer.status,
            answer.headers,
            body,
            place=place or self.access.host,
            who=describe_account(self.access),
            what=what,
            has_token=has_token and not place,
        )


def describe_account(access: RegistryAccess) -> str:
    if access.is_anonymous:
        return "access without a user name and password"
    return "the token" if access.username == TOKEN_USER else f"the user name and password of '{access.username[:100]}'"


def require_name(path: str, tag: str) -> None:
    """Raises RegistryError for what would be another address than a manifest's."""
    if not PATH.fullmatch(path) or len(path) > 255 or not (is_tag(tag) or is_digest(tag)):
        raise RegistryError(f"'{path[:80]}:{tag[:80]}' is not the name of an image.", "not_found", permanent=True)


def require_realm(realm: str, access: RegistryAccess) -> str:
    """The token endpoint's address, if credentials may go there: by TLS; or without, from loopback to loopback.

    Raises RegistryError.
    """
    try:
        parts = urlsplit(realm)
        scheme, host = parts.scheme.lower(), "" if "@" in parts.netloc else parts.hostname or ""
    except ValueError:
        scheme = host = ""
    if host and (scheme == "https" or (scheme == "http" and access.plain_http and is_loopback(host))):
        return realm
    if host and scheme == "http":
        message = f"{access.host} sends for tokens to {host[:100]} without TLS: the credentials are not sent there."
        raise RegistryError(message, "tls", permanent=True)
    raise RegistryError(f"{access.host} sends for tokens to an address that is none.", "bad_answer")


def add_query(address: str, parameters: dict[str, str]) -> str:
    """Those that are empty are left out."""
    parts = urlsplit(address)
    pairs = parse_qsl(parts.query) + [(name, value) for name, value in parameters.items() if value]
    return parts._replace(query=urlencode(pairs), fragment="").geturl()


def make_basic(access: RegistryAccess) -> str:
    return "Basic " + base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
