"""The HTTP session with one engine: its transport, its certificates, and the count of its requests."""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import docker
import requests
from docker.errors import DockerException
from docker.tls import TLSConfig

from clusters.engine.connection.credentials import use_clean_environment
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.failures import describe_connection_failure, probe_ssh
from clusters.engine.connection.podman import find_libpod_version
from clusters.engine.connection.ssh import use_ssh_command
from clusters.engine.errors import EngineUnreachable
from clusters.meters import ENGINE_REQUESTS

use_ssh_command()
use_clean_environment()


class EngineSession(docker.APIClient):
    """An SDK client that trusts the cluster's own CA and counts its requests by outcome.

    Without this class, requests would let REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE replace that CA.
    """

    podman_versions: ClassVar[dict[str, dict[str, Any]]] = {}  # answers by address

    def __init__(self, cluster_uid: str, **options: Any) -> None:
        self.cluster_uid = cluster_uid  # set first: the SDK's constructor already sends a request, for the API version
        self.address = str(options.get("base_url") or "")
        self.server_version: dict[str, Any] = {}
        super().__init__(**options)

    def version(self, api_version: bool = True) -> Any:
        """Keep the answer, which the SDK requests for the API version: it also says which engine answers.

        For each answer Podman looks up which packages its programs come from, which takes a third of a second of CPU. So it is
        only asked whether it still is the version that answered before.
        """
        known = self.podman_versions.get(self.address)
        if known and self._ping_podman() == find_libpod_version(known):
            self.server_version = known
            return known
        self.server_version = super().version(api_version)
        if find_libpod_version(self.server_version):
            self.podman_versions[self.address] = self.server_version
        return self.server_version

    def _ping_podman(self) -> str:
        """Return the version of Podman's own API; "" where something else answers."""
        sdk: Any = self
        answer = sdk._get(f"{self.base_url}/_ping")
        return str(answer.headers.get("Libpod-API-Version") or "")

    def send(self, request: Any, **options: Any) -> Any:
        outcome = "unreachable"
        try:
            answer = super().send(request, **options)
            outcome = name_outcome(answer.status_code)
        except requests.exceptions.Timeout:
            outcome = "timeout"
            raise
        finally:
            count_request(self.cluster_uid, outcome)
        return answer

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        verify = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


def open_session(endpoint: EngineEndpoint, address: str, version: str, timeout: float, resources: ExitStack) -> "EngineSession":
    """Connect to one of the endpoint's addresses. What has to be closed later is put on `resources`.

    `version` is the API version, or "auto" to negotiate it; `timeout` is in seconds. Raises EngineUnreachable.
    """
    is_ssh = urlsplit(address).scheme == "ssh"
    if is_ssh and version == "auto" and (reason := probe_ssh(address)):
        count_request(endpoint.cluster_uid, "unreachable")
        raise EngineUnreachable(reason)
    if is_ssh:  # ssh must never ask a question at the terminal that the console was started from
        os.environ.setdefault("SSH_ASKPASS_REQUIRE", "force")
        os.environ.setdefault("SSH_ASKPASS", "/bin/false")
    try:
        options: dict[str, Any] = {"version": version, "timeout": timeout, "tls": make_tls_config(endpoint, resources)}
        api = EngineSession(endpoint.cluster_uid, base_url=address, use_ssh_client=is_ssh, **options)
    except (requests.exceptions.RequestException, DockerException, OSError, ValueError) as error:
        raise EngineUnreachable(describe_connection_failure(error, address)) from error
    resources.callback(api.close)
    return api


def make_tls_config(endpoint: EngineEndpoint, resources: ExitStack) -> TLSConfig | bool:
    """Write the endpoint's certificates to files for the SDK, which takes no text. Return False where there are none."""
    if not (endpoint.ca or endpoint.cert):
        return False
    folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="windlass-tls-")))
    for name, text in (("ca.pem", endpoint.ca), ("cert.pem", endpoint.cert), ("key.pem", endpoint.key)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    return TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")) if endpoint.cert else None,
        ca_cert=str(folder / "ca.pem") if endpoint.ca else None,
        verify=True,
    )


def set_timeout(api: Any, seconds: float) -> None:
    """Set how long to wait for each answer from now on. The SDK's types allow whole seconds only."""
    api.timeout = seconds


def name_outcome(status: int) -> str:
    """Return the outcome under which an answer with this HTTP status is counted."""
    if status < 400:
        return "ok"
    return {404: "not_found", 409: "conflict"}.get(status, "refused" if status < 500 else "failed")


def count_request(cluster_uid: str, outcome: str) -> None:
    if cluster_uid:
        ENGINE_REQUESTS.add(cluster_uid, outcome)
