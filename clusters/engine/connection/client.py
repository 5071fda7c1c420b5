"""The only code that speaks to Docker. Thin: one method, one engine request, plain dicts as the Engine API gives them.

`clusters.engine.fakes.fake_engine.FakeEngine` has the same methods and passes the same contract suite.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

import docker
import requests
import urllib3
from docker import auth as docker_auth
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig
from docker.utils import parse_repository_tag

from clusters.engine.connection.credentials import CredentialSource, choose_auth, credentials_failed, no_credentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.failures import describe_failure, describe_place, probe_ssh
from clusters.engine.connection.pull_failures import classify_pull_failure
from clusters.engine.connection.ssh import use_ssh_command
from clusters.engine.errors import (
    EngineError,
    EngineRefused,
    EngineUnreachable,
    NotManager,
    PullFailed,
    SwarmUnavailable,
    TargetMissing,
)
from clusters.meters import ENGINE_REQUESTS

REQUEST_TIMEOUT = 30.0  # seconds for one answer; a stop gets its grace period on top
DEFAULT_GRACE = 10  # seconds the engine gives a container whose config names no other
REGISTRY_PATIENCE = 60.0  # seconds for an answer that the engine fetches from a registry first
VERSION_PATIENCE = 8.0
INFO_PATIENCE = 25.0
MANAGER_PATIENCE = 5.0  # seconds for each of several managers to show that it can be worked with
EVENTS_LIMIT = 4 << 20  # bytes
LOG_CHUNK = 1 << 16  # bytes
PULL_SILENCE = 300.0  # seconds without a line of progress after which a pull is given up

use_ssh_command()


@contextmanager
def translated_errors(url: str = "") -> Iterator[None]:
    """SDK and transport errors become EngineError. `url` is the engine's address, for the sentence."""
    try:
        yield
    except EngineError:
        raise
    except APIError as error:
        message = str(error.explanation or error).strip()[:1000]
        raise classify_refusal(error.status_code, message) from error
    except (requests.exceptions.RequestException, DockerException, OSError) as error:
        raise EngineUnreachable(describe_failure(error, url)) from error


LEADERLESS = (
    *("does not have a leader", "has no leader", "context deadline exceeded"),
    *("code = unavailable", "code = deadlineexceeded"),
)


def classify_refusal(status: int | None, message: str) -> EngineError:
    """A typed error from the engine's status and words. Swarm's errors have their words only: all are 500 or 503."""
    if status == 404:
        return TargetMissing(message)
    lowered = message.lower()
    if "not a swarm manager" in lowered or "not part of a swarm" in lowered:
        return NotManager(message)
    if any(words in lowered for words in LEADERLESS) and "/v2/" not in lowered:  # that is a registry that does not answer
        return SwarmUnavailable(f"The Swarm cannot answer at the moment: {message}")
    if "update out of sequence" in lowered:
        return EngineRefused(message, code="out_of_sequence")
    return EngineRefused(message, code="conflict" if status == 409 else "")


class EngineSession(docker.APIClient):
    """Trusts the cluster's own CA: otherwise requests lets REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE replace it.

    Counts what is asked of the engine of the cluster `cluster_uid`, by outcome.
    """

    def __init__(self, cluster_uid: str, **options: Any) -> None:
        self.cluster_uid = cluster_uid  # before the API version is asked for
        super().__init__(**options)

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


def name_outcome(status: int) -> str:
    if status < 400:
        return "ok"
    return {404: "not_found", 409: "conflict"}.get(status, "refused" if status < 500 else "failed")


def count_request(cluster_uid: str, outcome: str) -> None:
    if cluster_uid:
        ENGINE_REQUESTS.add(cluster_uid, outcome)


class EngineClient:
    """A connection to one engine; use as a context manager. Not shared between threads: see `sibling`.

    `address` is the one that answered. Where the endpoint has several: the first at which a Swarm's manager can be worked
    with; `passed_over` says in sentences why those before it are not. While there is none, the endpoint's first address if
    it answers (what runs on that engine alone can be worked with), else a manager whose Swarm has no leader.
    """

    _loners: ClassVar[dict[str, set[str]]] = {}

    def __init__(
        self,
        endpoint: EngineEndpoint,
        timeout: float = REQUEST_TIMEOUT,
        version: str = "auto",
        credentials: CredentialSource = no_credentials,
    ) -> None:
        """Connects and, unless `version` names it, negotiates the API version. `credentials` is asked for a registry's at each
        use; where it has none, the console user's own Docker config is.

        Raises EngineUnreachable, EngineError (`bad_address`, `bad_other_address`).
        """
        endpoint.validate()
        self.endpoint = endpoint
        self.timeout = timeout
        self.credentials = credentials
        self.address = endpoint.url
        self.passed_over: tuple[str, ...] = ()
        self._resources = ExitStack()
        try:
            self.api = self._connect_manager(version) if endpoint.others else self._connect(endpoint.url, version, timeout)
        except BaseException:
            self._resources.close()
            raise

    def _connect_manager(self, version: str) -> docker.APIClient:
        faults: list[str] = []
        spare: tuple[docker.APIClient, str] | None = None
        for address in self.endpoint.addresses:
            try:
                api = self._connect(address, version, min(self.timeout, MANAGER_PATIENCE))
            except EngineUnreachable as error:
                faults.append(error.message)
                continue
            fault = find_manager_fault(api, address)
            if fault is None:
                return self._settle(api, address, faults)
            faults.append(fault.message)
            if not spare and (address == self.endpoint.url or not isinstance(fault, NotManager)):
                spare = api, address
        if spare is None:
            raise EngineUnreachable(" ".join(faults))
        return self._settle(*spare, faults)

    def _settle(self, api: docker.APIClient, address: str, faults: list[str]) -> docker.APIClient:
        self.address, self.passed_over = address, tuple(faults)
        set_timeout(api, self.timeout)
        return api

    def _connect(self, address: str, version: str, timeout: float) -> docker.APIClient:
        is_ssh = urlsplit(address).scheme == "ssh"
        if is_ssh and version == "auto" and (reason := probe_ssh(address)):
            count_request(self.endpoint.cluster_uid, "unreachable")
            raise EngineUnreachable(reason)
        if is_ssh:  # never a question at the terminal the console was started from
            os.environ.setdefault("SSH_ASKPASS_REQUIRE", "force")
            os.environ.setdefault("SSH_ASKPASS", "/bin/false")
        try:
            options: dict[str, Any] = {"version": version, "timeout": timeout, "tls": self._tls_config(self.endpoint)}
            api = EngineSession(self.endpoint.cluster_uid, base_url=address, use_ssh_client=is_ssh, **options)
        except (requests.exceptions.RequestException, DockerException, OSError, ValueError) as error:
            raise EngineUnreachable(describe_failure(error, address)) from error
        self._resources.callback(api.close)
        return api

    def _tls_config(self, endpoint: EngineEndpoint) -> TLSConfig | bool:
        if not (endpoint.ca or endpoint.cert):
            return False
        folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory(prefix="windlass-tls-")))
        for name, text in (("ca.pem", endpoint.ca), ("cert.pem", endpoint.cert), ("key.pem", endpoint.key)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(text)
        return TLSConfig(
            client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")) if endpoint.cert else None,
            ca_cert=str(folder / "ca.pem") if endpoint.ca else None,
            verify=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._resources.close()

    @property
    def loners(self) -> set[str]:
        """Ids of this engine's containers that are known to share no namespace and to be linked to none."""
        return self._loners.setdefault(self.address, set())

    def sibling(self) -> Self:
        """Another connection to the same engine, for another thread; it has to be closed too."""
        return type(self)(self.endpoint.at(self.address), self.timeout, self.api.api_version, self.credentials)

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Within it an answer has so long instead of `timeout`."""
        set_timeout(self.api, seconds)
        try:
            yield
        finally:
            set_timeout(self.api, self.timeout)

    @property
    def _raw(self) -> Any:
        """The SDK's request helpers, for what its own methods cannot send."""
        return self.api

    @property
    def api_version(self) -> tuple[int, int]:
        """The negotiated Engine API version: (1, 41)."""
        major, minor = self.api.api_version.split(".")[:2]
        return int(major), int(minor)

    # Reading

    def version(self) -> dict[str, Any]:
        """The cheapest request: an engine that does not answer it soon is lost."""
        with self._translated(), self.patience(min(self.timeout, VERSION_PATIENCE)):
            return self.api.version()

    def info(self) -> dict[str, Any]:
        """A manager takes 20 s to find out that its Swarm has no leader."""
        with self._translated(), self.patience(max(self.timeout, INFO_PATIENCE)):
            return self.api.info()

    def list_containers(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """All containers, stopped ones too."""
        with self._translated():
            return self.api.containers(all=True, filters=filters)

    def list_networks(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._translated():
            return list(self.api.networks(filters=filters))

    def list_images(self, sizes: bool = False) -> list[dict[str, Any]]:
        """`sizes`: with the SharedSize of each, from API 1.42 on; before, and without it, that is -1."""
        with self._translated():
            return self._get_json("/images/json", {"shared-size": "1"} if sizes else {})

    def disk_usage(self) -> dict[str, Any]:
        """GET /system/df. The engine measures for it, which may take long."""
        with self._translated():
            return self._get_json("/system/df", {})

    def list_events(self, since: float, until: float) -> list[dict[str, Any]]:
        """Events between two moments of the engine's clock (Unix times, `until` not in the future), oldest first, as far as
        the engine remembers them: the last 256."""
        with self._translated():
            params = {"since": f"{since:.6f}", "until": f"{until:.6f}"}
            answer = self._raw._get(self._raw._url("/events"), params=params, stream=True)
            with closing(answer):
                self._raw._raise_for_status(answer)
                return read_lines(answer.iter_content(65_536), EVENTS_LIMIT)

    def inspect_container(self, container: str) -> dict[str, Any]:
        with self._translated():
            return self.api.inspect_container(container)

    def inspect_image(self, image: str) -> dict[str, Any]:
        with self._translated():
            return self.api.inspect_image(image)

    def container_logs(self, container: str, tail: int = 20) -> str:
        """The last lines of its output. Raises EngineRefused where the logging driver cannot be read."""
        with self._translated():
            output: bytes = self.api.logs(container, tail=tail, stdout=True, stderr=True)
            return output.decode(errors="replace")

    def container_stats(self, container: str, *, wait: bool = False) -> dict[str, Any]:
        """One sample of what it uses; of a stopped one a sample of zeros. With `wait` the engine takes two, over 1 to 2 s, and
        the answer has the first in its precpu_stats; an engine before API 1.41 does so always."""
        with self._translated():
            one_shot = None if wait or self.api_version < (1, 41) else True
            return self.api.stats(container, stream=False, one_shot=one_shot)

    @contextmanager
    def open_logs(
        self, kind: Literal["containers", "tasks"], name: str, tail: int | None, since: int = 0
    ) -> Iterator[Iterator[bytes]]:
        """The output of a container or a Swarm's task with times, as `clusters.engine.logs.stream` reads it: the last `tail`
        lines, of these those from a moment on (nanoseconds since 1970). Leave it early and the connection is closed.

        Raises EngineRefused where the logging driver cannot be read, TargetMissing, EngineUnreachable.
        """
        query = {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": "all" if tail is None else tail}
        if since:
            query["since"] = f"{since // 10**9}.{since % 10**9:09d}"
        with self._translated():
            answer = self._raw._get(self._raw._url(f"/{kind}/{{0}}/logs", name), params=query, stream=True)
            try:
                self._raw._raise_for_status(answer)
                yield answer.iter_content(LOG_CHUNK)
            finally:
                answer.close()

    # Swarm, on a manager. All raise NotManager on another engine, SwarmUnavailable while there is no leader.

    def list_services(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._translated():
            return self.api.services(filters=filters)

    def inspect_service(self, service: str) -> dict[str, Any]:
        """As it was written: without the defaults that Swarm would fill in, so that its Spec can be sent back."""
        with self._translated():
            return self.api.inspect_service(service)

    def list_tasks(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Present and past tasks. `filters` such as {"service": [id, id]}."""
        with self._translated():
            return self.api.tasks(filters=filters)

    def list_nodes(self) -> list[dict[str, Any]]:
        with self._translated():
            return self.api.nodes()

    def list_configs(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._translated():
            return list(self.api.configs(filters=filters))

    def list_secrets(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Without what they hold, which no engine tells."""
        with self._translated():
            return list(self.api.secrets(filters=filters))

    def remove_service(self, service: str) -> None:
        """Its tasks end after that."""
        with self._translated():
            self.api.remove_service(service)

    def remove_config(self, config: str) -> None:
        """Raises EngineRefused while a service uses it."""
        with self._translated():
            self.api.remove_config(config)

    def remove_secret(self, secret: str) -> None:
        """Raises EngineRefused while a service uses it."""
        with self._translated():
            self.api.remove_secret(secret)

    def resolve_digest(self, reference: str, auth: Mapping[str, str] | None = None) -> str:
        """The digest (`sha256:…`, of the index where there is one) that a registry has under the reference now.

        The engine asks the registry (GET /distribution/…/json): since API 1.30 nobody else does for an update, and Swarm would
        keep the digest it knows. `auth` as in pull_image. Raises PullFailed.
        """
        headers = self._pull_headers(reference, auth)
        try:
            with self._translated():
                url = self._raw._url("/distribution/{0}/json", reference)
                answer = self._raw._get(url, headers=headers, timeout=REGISTRY_PATIENCE)
                self._raw._raise_for_status(answer)
                return str(answer.json()["Descriptor"]["digest"])
        except EngineUnreachable as error:
            if not isinstance(error.__cause__, requests.exceptions.ReadTimeout):
                raise
            silence = f"its registry did not answer the engine within {REGISTRY_PATIENCE:.0f} s"
            raise PullFailed(f"{reference} could not be resolved: {silence}.") from error
        except (EngineRefused, TargetMissing) as error:
            raise classify_pull_failure(reference, error.message, had_credentials=bool(headers)) from error

    def check_credentials(self, reference: str) -> None:
        """Raises PullFailed (`credentials_failed`) where a use of them would."""
        self._pull_headers(reference, None)

    def update_service(
        self, service: str, version: int, spec: Mapping[str, Any], auth: Mapping[str, str] | None = None
    ) -> list[str]:
        """Send a whole spec, based on what was read at `version`. Returns the engine's warnings.

        The credentials for the spec's image go along, as in pull_image; without any, Swarm is told to keep those it has. Not
        the SDK's own method: it rebuilds the spec and loses what it does not know. Raises EngineRefused (`out_of_sequence`),
        PullFailed (`credentials_failed`).
        """
        image = spec["TaskTemplate"].get("ContainerSpec", {}).get("Image", "")
        headers = self._pull_headers(image, auth)
        return self._update_service(service, {"version": version, "registryAuthFrom": "spec"}, spec, headers)

    def roll_back_service(self, service: str, version: int, spec: Mapping[str, Any]) -> list[str]:
        """Swarm's own way back to the previous spec, with the credentials that this one had. `spec` is the present one: the
        API wants it, and takes the previous one's place of it. Raises EngineRefused (`out_of_sequence`)."""
        return self._update_service(
            service, {"version": version, "rollback": "previous", "registryAuthFrom": "previous-spec"}, spec, {}
        )

    def _update_service(
        self, service: str, query: dict[str, Any], spec: Mapping[str, Any], headers: dict[str, str]
    ) -> list[str]:
        with self._translated():
            url = self._raw._url("/services/{0}/update", service)
            answer = self._raw._post_json(url, data=dict(spec), params=query, headers=headers)
            self._raw._raise_for_status(answer)
            return [str(warning) for warning in (answer.json() or {}).get("Warnings") or []]

    # Changing

    def create_container(self, name: str, config: Mapping[str, Any]) -> str:
        """The new container's id. `config` is the body of POST /containers/create.

        Raises EngineRefused (`conflict` when the name is taken).
        """
        with self._translated():
            created: dict[str, Any] = self.api.create_container_from_config(dict(config), name)
            return str(created["Id"])

    def connect_network(self, network: str, container: str, endpoint_config: Mapping[str, Any]) -> None:
        """`endpoint_config` is an EndpointSettings, sent as it is: the SDK's own method knows only some of its fields."""
        self._post("/networks/{0}/connect", network, {"Container": container, "EndpointConfig": dict(endpoint_config)})

    def disconnect_network(self, network: str, container: str) -> None:
        self._post("/networks/{0}/disconnect", network, {"Container": container, "Force": False})

    def start_container(self, container: str) -> None:
        with self._translated():
            self.api.start(container)

    def stop_container(self, container: str, grace: float | None = None) -> None:
        """Stop signal, grace period, SIGKILL. `grace` in seconds is how long this container's own stop timeout lets it take;
        it is waited for, not sent, so that the engine applies the container's own."""
        self._end_container("stop", container, grace)

    def restart_container(self, container: str, grace: float | None = None) -> None:
        """Stop and start by the engine itself, which goes on with it whoever asked is gone. `grace` as in stop_container."""
        self._end_container("restart", container, grace)

    def _end_container(self, way: str, container: str, grace: float | None) -> None:
        patience = self.timeout + max(DEFAULT_GRACE if grace is None else grace, 0)
        with self._translated():
            answer = self._raw._post(self._raw._url(f"/containers/{{0}}/{way}", container), timeout=patience)
            self._raw._raise_for_status(answer)

    def kill_container(self, container: str, signal: str = "SIGKILL") -> None:
        with self._translated():
            self.api.kill(container, signal)

    def rename_container(self, container: str, name: str) -> None:
        """Raises EngineRefused (`conflict`) when the name is taken."""
        with self._translated():
            self.api.rename(container, name)

    def remove_container(self, container: str, force: bool = False, volumes: bool = False) -> None:
        """`volumes`: its anonymous volumes too; named ones always stay."""
        with self._translated():
            self.api.remove_container(container, force=force, v=volumes)

    def remove_network(self, network: str) -> None:
        """Raises EngineRefused while a running container, or a Swarm's task, is attached to it."""
        with self._translated():
            self.api.remove_network(network)

    def remove_volume(self, volume: str) -> None:
        """Raises EngineRefused (`conflict`) while a container uses it."""
        with self._translated():
            self.api.remove_volume(volume)

    def update_restart_policy(self, container: str, policy: Mapping[str, Any]) -> None:
        """`policy` is HostConfig.RestartPolicy: {"Name": "on-failure", "MaximumRetryCount": 3}."""
        self._post("/containers/{0}/update", container, {"RestartPolicy": dict(policy)})

    def pull_image(
        self, reference: str, auth: Mapping[str, str] | None = None, on_progress: Callable[[], None] = lambda: None
    ) -> None:
        """Returns when the image is there. `auth` is an AuthConfig; without one `credentials` is asked.

        `on_progress` is called with each line of progress; what it raises ends the pull. Raises PullFailed.
        """
        repository, tag = parse_repository_tag(reference)
        query = {"fromImage": repository, "tag": tag or "latest"}
        headers = self._pull_headers(reference, auth)
        try:
            with self._translated():
                url = self._raw._url("/images/create")
                answer = self._raw._post(url, params=query, headers=headers, stream=True, timeout=PULL_SILENCE)
                self._raw._raise_for_status(answer)
                for line in self._raw._stream_helper(answer, decode=True):
                    if message := line.get("error"):
                        raise classify_pull_failure(reference, str(message), had_credentials=bool(headers))
                    on_progress()
        except (EngineRefused, TargetMissing) as error:
            raise classify_pull_failure(reference, error.message, had_credentials=bool(headers)) from error
        except (EngineUnreachable, urllib3.exceptions.ReadTimeoutError) as error:
            if isinstance(error, EngineUnreachable) and not isinstance(error.__cause__, requests.exceptions.ReadTimeout):
                raise
            silence = f"the engine told of no progress for {PULL_SILENCE:.0f} s, as when its registry does not answer"
            raise PullFailed(f"{reference} could not be pulled: {silence}.") from error

    def remove_image(self, image: str) -> list[dict[str, str]]:
        """What was done, as `{"Untagged": reference}` and `{"Deleted": id}`. A reference is only taken off where the image has
        others. Never by force: raises EngineRefused (`conflict`) for what is used, built on, or an id with several tags."""
        with self._translated():
            return self.api.remove_image(image)

    def tag_image(self, image: str, reference: str) -> None:
        repository, tag = parse_repository_tag(reference)
        with self._translated():
            self.api.tag(image, repository, tag or "latest")

    def _get_json(self, path: str, params: dict[str, str]) -> Any:
        answer = self._raw._get(self._raw._url(path), params=params)
        self._raw._raise_for_status(answer)
        return answer.json()

    def _pull_headers(self, reference: str, auth: Mapping[str, str] | None) -> dict[str, str]:
        """Raises PullFailed (`credentials_failed`)."""
        chosen = choose_auth(reference, auth, self.credentials)
        if chosen is not None:
            return {"X-Registry-Auth": docker_auth.encode_header(dict(chosen)).decode()}
        try:
            registry, _ = docker_auth.resolve_repository_name(parse_repository_tag(reference)[0])
            header = docker_auth.get_config_header(self.api, registry)
        except DockerException as error:
            raise credentials_failed(reference, str(error)) from error
        return {"X-Registry-Auth": header.decode() if isinstance(header, bytes) else header} if header else {}

    def _post(self, path: str, name: str, body: dict[str, Any]) -> None:
        with self._translated():
            self._raw._raise_for_status(self._raw._post_json(self._raw._url(path, name), data=body))

    def _translated(self) -> Any:
        return translated_errors(self.address)


def read_lines(chunks: Iterable[bytes], limit: int) -> list[dict[str, Any]]:
    """The JSON objects of a stream, one a line, as far as they are whole within `limit` bytes. Raises EngineUnreachable."""
    text = bytearray()
    for chunk in chunks:
        text += chunk
        if len(text) > limit:
            break
    lines = [line for line in bytes(text[:limit]).split(b"\n")[:-1] if line.strip()]
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise EngineUnreachable("The engine's answer cannot be read.") from error


def set_timeout(api: Any, seconds: float) -> None:
    """For each answer from now on. The SDK's types know whole seconds only."""
    api.timeout = seconds


def find_manager_fault(api: docker.APIClient, address: str) -> EngineError | None:
    """Why the engine there cannot speak for a Swarm; None when it can."""
    try:
        with translated_errors(address):
            api.nodes(filters={"role": "manager"})
    except NotManager as error:
        return NotManager(f"{describe_place(address)} is no Swarm manager: {error.message.partition('.')[0]}.")
    except EngineError as error:
        return error
    return None
