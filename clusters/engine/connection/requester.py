"""The common base of EngineClient's parts: the session, its errors, its timeout, and the credentials for registries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import docker
import structlog
from docker import auth as docker_auth
from docker.errors import DockerException
from docker.utils import parse_repository_tag

from clusters.engine.connection.credentials import CredentialSource, choose_credentials, make_credentials_failure
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.failures import describe_address
from clusters.engine.connection.sdk_errors import translated_errors
from clusters.engine.connection.session import set_timeout
from clusters.engine.errors import PullFailed

log = structlog.get_logger("windlass.engine")


@dataclass(frozen=True)
class PullHeaders:
    """The headers of a request that makes an engine pull. `withheld` says why credentials that exist are not among them."""

    headers: dict[str, str] = field(repr=False)
    withheld: str = ""


class EngineRequester:
    """The base of EngineClient's parts. EngineClient sets the attributes.

    `timeout` is in seconds; `address` is the one that answered. `withheld` has, by image reference, why credentials that exist
    were not sent. `libpod_version` is the version of Podman's own API where Podman answers, such as "4.3.1", and else empty.
    """

    api: docker.APIClient
    endpoint: EngineEndpoint
    address: str
    withheld: dict[str, str]
    timeout: float
    credentials: CredentialSource
    libpod_version: str = ""

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Wait for each answer up to `seconds` instead of `timeout`, for as long as the `with` lasts."""
        set_timeout(self.api, seconds)
        try:
            yield
        finally:
            set_timeout(self.api, self.timeout)

    @property
    def api_version(self) -> tuple[int, int]:
        """The negotiated Engine API version, such as (1, 41)."""
        major, minor = self.api.api_version.split(".")[:2]
        return int(major), int(minor)

    @property
    def _raw(self) -> Any:
        """The SDK's request helpers, for requests that its own methods cannot send."""
        return self.api

    def _translated(self) -> Any:
        return translated_errors(self.address)

    def _get_json(self, path: str, params: dict[str, str]) -> Any:
        answer = self._raw._get(self._raw._url(path), params=params)
        self._raw._raise_for_status(answer)
        return answer.json()

    def _get_libpod(self, path: str) -> Any:
        """Send a request of Podman's own API. Return None where it is refused, such as by a proxy of the socket."""
        answer = self._raw._get(f"{self._raw.base_url}/v{self.libpod_version}/libpod{path}")
        return answer.json() if answer.ok else None

    def _post(self, path: str, name: str, body: dict[str, Any]) -> None:
        with self._translated():
            self._raw._raise_for_status(self._raw._post_json(self._raw._url(path, name), data=body))

    def _choose_pull_headers(self, reference: str, auth: Mapping[str, str] | None) -> PullHeaders:
        """Return the header with the registry's credentials, if there are any that may go to this engine.

        Raises PullFailed (`credentials_failed`).
        """
        endpoint = self.endpoint.at(self.address)
        found = choose_credentials(reference, auth, self.credentials, endpoint)
        header, withheld = "", found.withheld
        if found.auth is not None:
            header = docker_auth.encode_header(dict(found.auth)).decode()
        elif reference and found.may_use_config:
            header = self._read_docker_config(reference)
        elif reference and found.config_withheld and self._is_in_docker_config(reference):
            withheld = found.config_withheld
        if header and endpoint.is_plain:
            header, withheld = "", f"The credentials for {reference} were not sent: the address is tcp:// without TLS."
        if withheld:
            self.withheld[reference] = withheld
            log.warning("credentials withheld", reference=reference, engine=describe_address(self.address), reason=withheld)
        return PullHeaders({"X-Registry-Auth": header} if header else {}, withheld)

    def _read_docker_config(self, reference: str) -> str:
        """Return the header for the reference from the Docker config of the console's user, or "" where that has none.

        Raises PullFailed (`credentials_failed`).
        """
        try:
            registry, _ = docker_auth.resolve_repository_name(parse_repository_tag(reference)[0])
            header = docker_auth.get_config_header(self.api, registry)
        except DockerException as error:
            raise make_credentials_failure(reference, str(error)) from error
        return header.decode() if isinstance(header, bytes) else header or ""

    def _is_in_docker_config(self, reference: str) -> bool:
        try:
            return bool(self._read_docker_config(reference))
        except PullFailed:
            return False
