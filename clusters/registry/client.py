"""A client for image registries by the OCI Distribution specification: tokens, digests, and whether a push is allowed."""

import base64
import hashlib
import re
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

from clusters.registry.access import TOKEN_USER, PullLimit, RegistryAccess, TagState
from clusters.registry.challenge import Challenge, choose_challenge, grants_push, parse_token, read_json
from clusters.registry.credentials import read_helper_credentials
from clusters.registry.errors import RegistryError
from clusters.registry.failures import classify_status, read_limit
from clusters.registry.reference import DOCKER_HUB, PATH, is_digest, is_loopback, is_tag
from clusters.registry.transport import Answer, RegistryTransport, find_origin, name_host

__all__ = ["PullLimit", "RegistryAccess", "RegistryClient", "TagState", "read_helper_credentials"]

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
HUB_LIMIT_PATH = "ratelimitpreview/test"  # a HEAD of it returns Docker Hub's limit and does not count as a pull
PARTS_LIMIT = 50  # layers of an image, or entries of an index, whose media types are read
BASIC = "basic"
ONLY_ENGINES = (
    "Here {host} is the machine of the console. If it is an engine's own machine that is meant, only that engine can ask this "
    "registry: redeploys work, checks and polling do not."
)
ETAG = re.compile(r"[\x21-\x7e]{1,200}")


class RegistryClient:
    """A connection to one registry, for as long as the `with` lasts; for one thread at a time."""

    def __init__(self, access: RegistryAccess, timeout: float = 10.0) -> None:
        """`timeout` is in seconds, for each call of check, read_tag or may_push with all its requests.

        Raises RegistryError (`tls`) for plain HTTP beyond the loopback that nobody has agreed to, and for a CA that cannot be
        read.
        """
        if access.plain_http and not (access.clear_text or is_loopback(access.host)):
            raise RegistryError(
                f"{access.host} is not on this machine's loopback, and sending everything to it in clear was not allowed. "
                "Use TLS, or allow it under Registries.",
                "tls",
                permanent=True,
            )
        self.access, self.timeout = access, timeout
        self._transport = RegistryTransport(access.ca)
        self._authorizations: dict[str, str] = {}  # by scope; Basic, which has no scope, under BASIC
        self._deadline = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Closes the connections."""
        self._transport.close()

    def check(self) -> PullLimit | None:
        """Check that the registry accepts the credentials or, without any, that it answers. Return its limit where it has one.

        Raises RegistryError.
        """
        self._start()
        answer = self._ask("GET", "")
        if self.access.is_anonymous and answer.status == 401 and self._authorizations.get(""):
            return read_limit(answer.headers)  # it gives tokens to everyone, but its front page only to accounts
        self._require_registry(answer, {200})
        self._require_data(answer)
        if "Docker-Distribution-Api-Version" not in answer.headers and answer.body.strip() and read_json(answer.body) is None:
            raise RegistryError(f"{self.access.host} is not a registry. Check its host and port.", "bad_answer")
        return read_limit(answer.headers) or (self._read_hub_limit() if self.access.host == DOCKER_HUB else None)

    def _read_hub_limit(self) -> PullLimit | None:
        """Raises RegistryError (`rate_limited`). Other errors are ignored: they say nothing about the credentials."""
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
        """Check the answer to `GET /v2/`. Raises RegistryError."""
        if answer.status == 404:
            message = f"There is no registry at {self.access.host}: it does not know /v2/ (404). Check its host and port."
            raise RegistryError(message, "not_found", permanent=True)
        if answer.status not in wanted:
            raise self._refusal(answer, "any access")

    def read_tag(self, path: str, tag: str, etag: str = "") -> TagState:
        """Read a tag by a HEAD of its manifest, or of its index where it has one.

        `tag` can be a digest. Raises RegistryError.
        """
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

    def read_media_types(self, path: str, digest: str) -> tuple[str, ...]:
        """Return the media types of a manifest, its artifact, its config and its layers, or of an index and its entries.

        They tell an image from a Helm chart, a signature or a build cache. Raises RegistryError.
        """
        self._start()
        require_name(path, digest)
        answer = self._ask_manifest("GET", path, digest, {"Accept": ",".join(MANIFESTS)})
        if answer.status != 200:
            raise self._refusal(answer, f"{path}@{digest}", scope=f"repository:{path}:pull")
        self._require_data(answer)
        return tuple(list_media_types(read_json(answer.body)))

    def _ask_manifest(self, method: str, path: str, tag: str, headers: dict[str, str]) -> Answer:
        return self._ask(method, f"{path}/manifests/{quote(tag, safe=':')}", f"repository:{path}:pull", headers)

    def _compute_digest(self, answer: Answer) -> str:
        """Return the digest of the body. Raises RegistryError unless the body is a manifest."""
        self._require_data(answer)
        manifest = read_json(answer.body)
        if not isinstance(manifest, dict) or manifest.get("schemaVersion") != 2:
            raise RegistryError(
                f"{self.access.host} did not answer with a manifest. Check that it is a registry.", "bad_answer"
            )
        return f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    def may_push(self, path: str) -> bool:
        """Return whether the registry lets these credentials push to the repository.

        A token with the scope shows it, else an upload that is opened and cancelled. Raises RegistryError where neither does.
        """
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
        """Return a token, or "" where the endpoint refuses this scope but not the credentials. Raises RegistryError."""
        try:
            return self._fetch_token(challenge, scope)
        except RegistryError as error:
            if error.code not in {"unauthorized", "forbidden"}:
                raise
        self._fetch_token(challenge, "")
        return ""

    def _probe_push(self, path: str, scope: str) -> bool:
        """Open an upload and cancel it. Return whether it could be opened."""
        answer = self._ask("POST", f"{path}/blobs/uploads/", scope)
        if answer.status == 202:
            self._cancel_upload(answer, path)
            return True
        if answer.status == 401:
            self._require_login(answer)
        if answer.status in {401, 403, 405}:  # 405: a mirror, or a registry in read-only mode
            return False
        raise self._refusal(answer, f"an upload to {path}")

    def _require_login(self, refusal: Answer) -> None:
        """Raises RegistryError where the credentials are refused for everything, so that the answer is not about pushes."""
        if not self.access.is_anonymous and self._ask("GET", "").status == 401:
            raise self._refusal(refusal, "a push")

    def _cancel_upload(self, opened: Answer, path: str) -> None:
        """Cancel the upload if possible. The registry itself purges an upload that remains."""
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
        """Send a request and return the answer.

        The first try has no credentials, or those that worked for the scope before; a second one has those that the registry
        requests.
        """
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
        try:
            return self._transport.send(method, f"{self.access.api_url}/v2/{path}", all_headers, self._deadline)
        except RegistryError as error:
            if error.code == "unreachable" and is_loopback(self.access.host):
                raise RegistryError(f"{error.message} {ONLY_ENGINES.format(host=self.access.host)}", error.code) from error
            raise

    def _find_challenge(self, answer: Answer) -> Challenge | None:
        """Return the registry's own challenge. A host that it redirects to must not choose where the credentials go."""
        if answer.status != 401 or find_origin(answer.url) != find_origin(self.access.api_url):
            return None
        return choose_challenge(answer.headers.get("WWW-Authenticate", ""))

    def _authorize(self, challenge: Challenge, scope: str) -> str:
        """Return the `Authorization` header that answers the challenge, or "" where there are no credentials for it."""
        if challenge.scheme == "bearer":
            # Some endpoints give an anonymous client no token without a scope.
            token_scope = scope or (challenge.parameters.get("scope", "") if self.access.is_anonymous else "")
            return f"Bearer {self._fetch_token(challenge, token_scope)}"
        if self.access.is_anonymous or self.access.username == TOKEN_USER:
            return ""
        return make_basic(self.access)

    def _fetch_token(self, challenge: Challenge, scope: str) -> str:
        """Raises RegistryError where the endpoint refuses, does not answer, or must not be sent credentials."""
        answer = self._request_token(challenge, scope)
        place = name_host(answer.url)
        if answer.status != 200:
            raise self._refusal(answer, f"a token for {scope}" if scope else "a token", place=place)
        self._require_data(answer)
        if token := parse_token(answer.body):
            return token
        raise RegistryError(f"{place} answered without a token. Check that it is the registry's token endpoint.", "bad_answer")

    def _request_token(self, challenge: Challenge, scope: str) -> Answer:
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
        """Raises RegistryError for a web page and for invalid JSON."""
        place = name_host(answer.url)
        if answer.is_page:
            raise RegistryError(
                f"{place} answered with a web page: it is not a registry, or it is behind a login page.", "bad_answer"
            )
        if "json" in answer.headers.get("Content-Type", "") and answer.body.strip() and read_json(answer.body) is None:
            raise RegistryError(f"{place} answered with invalid JSON.", "bad_answer")

    def _refusal(self, answer: Answer, what: str, *, place: str = "", scope: str = "") -> RegistryError:
        body = b"" if len(self.access.password) > 3 and self.access.password.encode() in answer.body else answer.body
        has_token = not self.access.is_anonymous and self._authorizations.get(scope, "").startswith("Bearer")
        return classify_status(
            answer.status,
            answer.headers,
            body,
            place=place or self.access.host,
            who=describe_account(self.access),
            what=what,
            has_token=has_token and not place,
        )


def list_media_types(manifest: object) -> Iterator[str]:
    """Yield the media types that a manifest or an index names, of at most PARTS_LIMIT parts."""
    if not isinstance(manifest, dict):
        return
    parts = [part for name in ("layers", "manifests") if isinstance(manifest.get(name), list) for part in manifest[name]]
    config = manifest.get("config")
    own = [
        manifest.get("mediaType"),
        manifest.get("artifactType"),
        config.get("mediaType") if isinstance(config, dict) else None,
    ]
    found = [*own, *(part.get("mediaType") for part in parts[:PARTS_LIMIT] if isinstance(part, dict))]
    yield from (kind for kind in found if isinstance(kind, str))


def describe_account(access: RegistryAccess) -> str:
    if access.is_anonymous:
        return "access without a user name and password"
    return "the token" if access.username == TOKEN_USER else f"the user name and password of '{access.username[:100]}'"


def require_name(path: str, tag: str) -> None:
    """Raises RegistryError for a name that would lead to another address than a manifest's."""
    if not PATH.fullmatch(path) or len(path) > 255 or not (is_tag(tag) or is_digest(tag)):
        raise RegistryError(f"'{path[:80]}:{tag[:80]}' is not the name of an image.", "not_found", permanent=True)


def require_realm(realm: str, access: RegistryAccess) -> str:
    """Return the token endpoint's address, if it is safe for credentials: by TLS, from loopback to loopback, or in clear on the
    host to which everything may be sent in clear.

    Raises RegistryError.
    """
    try:
        parts = urlsplit(realm)
        scheme, host = parts.scheme.lower(), "" if "@" in parts.netloc else parts.hostname or ""
    except ValueError:
        scheme = host = ""
    if host and (scheme == "https" or (scheme == "http" and access.plain_http and may_send_in_clear(host, access))):
        return realm
    if host and scheme == "http":
        how = " Store the registry under that host, or give it its own host in its settings." if access.clear_text else ""
        message = (
            f"{access.host} has its token endpoint at {host[:100]} without TLS. Windlass does not send credentials there.{how}"
        )
        raise RegistryError(message, "tls", permanent=True)
    raise RegistryError(f"{access.host} has its token endpoint at an invalid address.", "bad_answer")


def may_send_in_clear(host: str, access: RegistryAccess) -> bool:
    """Return whether credentials may go to `host`, at whatever port, without TLS."""
    if is_loopback(access.host):
        return is_loopback(host)
    own = urlsplit(access.api_url).hostname or ""
    return access.clear_text and host.lower() == own.lower()


def add_query(address: str, parameters: dict[str, str]) -> str:
    """Add parameters to the address; empty ones are left out."""
    parts = urlsplit(address)
    pairs = parse_qsl(parts.query) + [(name, value) for name, value in parameters.items() if value]
    return parts._replace(query=urlencode(pairs), fragment="").geturl()


def make_basic(access: RegistryAccess) -> str:
    return "Basic " + base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
