"""The common base of EngineClient's parts: the session, its errors, its timeout, and the credentials for registries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker
from docker import auth as docker_auth
from docker.errors import DockerException
from docker.utils import parse_repository_tag

from clusters.engine.connection.credentials import CredentialSource, choose_auth, make_credentials_failure
from clusters.engine.connection.sdk_errors import translated_errors
from clusters.engine.connection.session import set_timeout


class EngineRequester:
    """The base of EngineClient's parts. EngineClient sets the attributes.

    `timeout` is in seconds; `address` is the one that answered.
    """

    api: docker.APIClient
    address: str
    timeout: float
    credentials: CredentialSource

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

    def _post(self, path: str, name: str, body: dict[str, Any]) -> None:
        with self._translated():
            self._raw._raise_for_status(self._raw._post_json(self._raw._url(path, name), data=body))

    def _pull_headers(self, reference: str, auth: Mapping[str, str] | None) -> dict[str, str]:
        """Return the header with the registry's credentials, or nothing where there are none.

        Raises PullFailed (`credentials_failed`).
        """
        chosen = choose_auth(reference, auth, self.credentials)
        if chosen is not None:
            return {"X-Registry-Auth": docker_auth.encode_header(dict(chosen)).decode()}
        try:
            registry, _ = docker_auth.resolve_repository_name(parse_repository_tag(reference)[0])
            header = docker_auth.get_config_header(self.api, registry)
        except DockerException as error:
            raise make_credentials_failure(reference, str(error)) from error
        return {"X-Registry-Auth": header.decode() if isinstance(header, bytes) else header} if header else {}
