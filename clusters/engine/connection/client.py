"""The only code that speaks to Docker. Each method sends one engine request and returns plain dicts from the Engine API.

`clusters.engine.fakes.fake_engine.FakeEngine` has the same methods and passes the same contract suite.
"""

from contextlib import ExitStack
from types import TracebackType
from typing import ClassVar, Self

from clusters.engine.connection.container_requests import ContainerRequests
from clusters.engine.connection.credentials import CredentialSource, no_credentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.failures import describe_engine_place
from clusters.engine.connection.file_requests import FileRequests
from clusters.engine.connection.image_requests import ImageRequests
from clusters.engine.connection.network_requests import NetworkRequests
from clusters.engine.connection.podman import find_libpod_version
from clusters.engine.connection.sdk_errors import translated_errors
from clusters.engine.connection.session import EngineSession, open_session, set_timeout
from clusters.engine.connection.swarm_requests import SwarmRequests
from clusters.engine.connection.system_requests import SystemRequests
from clusters.engine.errors import EngineError, EngineUnreachable, NotManager

REQUEST_TIMEOUT = 30.0  # seconds for one answer; a stop gets its grace period on top
MANAGER_PATIENCE = 5.0  # seconds for each of several managers to show that it can be used


class EngineClient(SystemRequests, ContainerRequests, FileRequests, ImageRequests, NetworkRequests, SwarmRequests):
    """A connection to one engine; use it as a context manager. Do not share it between threads: see `sibling`.

    `address` is the address in use. Where the endpoint has several addresses, the first with a working Swarm manager is used,
    and `passed_over` gives a sentence for each address before it that says why it was not. Without a working manager, the
    endpoint's first address is used if it answers (the containers of that engine alone can be managed), else a manager whose
    Swarm has no leader.
    """

    _loners: ClassVar[dict[str, set[str]]] = {}

    def __init__(
        self,
        endpoint: EngineEndpoint,
        timeout: float = REQUEST_TIMEOUT,
        version: str = "auto",
        credentials: CredentialSource = no_credentials,
        libpod_version: str = "",
    ) -> None:
        """Connect and, unless `version` is given, negotiate the API version.

        With a given `version`, `libpod_version` has to be given where Podman answers.
        `credentials` is called for a registry's credentials at each use. Raises EngineUnreachable, EngineError (`bad_address`,
        `bad_other_address`).
        """
        endpoint.validate()
        self.endpoint = endpoint
        self.timeout = timeout
        self.credentials = credentials
        self.withheld = {}
        self.address = endpoint.url
        self.passed_over: tuple[str, ...] = ()
        self._resources = ExitStack()
        try:
            self.api = self._connect_manager(version) if endpoint.others else self._connect(endpoint.url, version, timeout)
            self.libpod_version = find_libpod_version(self.api.server_version) or libpod_version
        except BaseException:
            self._resources.close()
            raise

    def _connect_manager(self, version: str) -> EngineSession:
        faults: list[str] = []
        spare: tuple[EngineSession, str] | None = None
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

    def _settle(self, api: EngineSession, address: str, faults: list[str]) -> EngineSession:
        self.address, self.passed_over = address, tuple(faults)
        set_timeout(api, self.timeout)
        return api

    def _connect(self, address: str, version: str, timeout: float) -> EngineSession:
        return open_session(self.endpoint, address, version, timeout, self._resources)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._resources.close()

    @property
    def loners(self) -> set[str]:
        """The ids of this engine's containers that are known to share no namespace and to have no links."""
        return self._loners.setdefault(self.address, set())

    def sibling(self) -> Self:
        """Open another connection to the same engine, for another thread. The caller has to close it."""
        return type(self)(
            self.endpoint.at(self.address), self.timeout, self.api.api_version, self.credentials, self.libpod_version
        )


def find_manager_fault(api: EngineSession, address: str) -> EngineError | None:
    """Return why the engine there cannot speak for a Swarm, or None when it can."""
    try:
        with translated_errors(address):
            api.nodes(filters={"role": "manager"})
    except NotManager as error:
        return NotManager(f"{describe_engine_place(address)} is not a Swarm manager: {error.message.partition('.')[0]}.")
    except EngineError as error:
        return error
    return None
