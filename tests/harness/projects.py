"""Makes applications as Compose would, through the Engine API: faster than Compose, and with any odd settings."""

import itertools
from typing import Any

import docker

DEFAULT_BRIDGE = {"NetworkMode": "default"}  # what the engine takes if nobody says
MONITOR = {"windlass.update.monitor": "600ms"}  # keeps the tests short


class Project:
    """A Compose project of the given name. Containers are described in the terms of the Engine API."""

    def __init__(self, api: docker.APIClient, name: str = "shop") -> None:
        self.api, self.name = api, name

    def labels(self, service: str, number: int) -> dict[str, str]:
        return {
            "com.docker.compose.project": self.name,
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": str(number),
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.version": "2.20.0",
            "com.docker.compose.config-hash": f"hash-of-{service}",
            **MONITOR,
        }

    def add_network(self, name: str = "default", **options: Any) -> str:
        """Create a network and return its name on the engine, `shop_default`. Options are those of the SDK's create_network."""
        full_name = f"{self.name}_{name}"
        self.api.create_network(full_name, driver="bridge", check_duplicate=True, **options)
        return full_name

    def add(
        self,
        service: str,
        image: str,
        number: int = 1,
        *,
        name: str = "",
        networks: dict[str, dict[str, Any]] | None = None,
        labels: dict[str, str] | None = None,
        start: bool = True,
        **config: Any,
    ) -> str:
        """Create (and start) a container of the service and return its name, by default `shop-web-1`.

        `networks` maps full names to endpoint settings; the first one is the HostConfig's NetworkMode.
        """
        name = name or f"{self.name}-{service}-{number}"
        all_labels = self.labels(service, number) | {"com.docker.compose.image": self._find_image_id(image)} | (labels or {})
        return create_container(self.api, name, image, networks=networks, labels=all_labels, start=start, **config)

    def _find_image_id(self, image: str) -> str:
        return str(self.api.inspect_image(image)["Id"])


def create_container(
    api: docker.APIClient,
    name: str,
    image: str,
    *,
    networks: dict[str, dict[str, Any]] | None = None,
    labels: dict[str, str] | None = None,
    start: bool = True,
    **config: Any,
) -> str:
    """Create a container from raw configuration and return its name. Without Compose's labels it is a lone container. It has no
    network unless something is said about one: to put it on a bridge is half of what it costs the engine."""
    body: dict[str, Any] = {"Image": image, "Labels": MONITOR if labels is None else labels, **config}
    networks = networks or {}
    for network in itertools.islice(networks, 1):
        body["HostConfig"] = {"NetworkMode": network, **config.get("HostConfig", {})}
        body["NetworkingConfig"] = {"EndpointsConfig": {network: networks[network]}}
    host = body.get("HostConfig", {})
    if not networks and not host.keys() & {"NetworkMode", "PortBindings", "PublishAllPorts", "Links"}:
        body["HostConfig"] = {"NetworkMode": "none", **host}
    container = api.create_container_from_config(body, name)["Id"]
    for network in itertools.islice(networks, 1, None):
        path = api._url("/networks/{0}/connect", network)  # the SDK's own method cannot send every endpoint setting
        api._raise_for_status(api._post_json(path, data={"Container": container, "EndpointConfig": networks[network]}))
    if start:
        api.start(container)
    return name


def list_names(api: docker.APIClient) -> set[str]:
    """Return the names of all containers on the engine."""
    return {read_name(container) for container in api.containers(all=True)}


def list_running(api: docker.APIClient) -> set[str]:
    return {read_name(container) for container in api.containers()}


def read_ids(api: docker.APIClient) -> dict[str, str]:
    """Return the ids of all containers by name."""
    return {read_name(container): container["Id"] for container in api.containers(all=True)}


def read_name(container: dict[str, Any]) -> str:
    """Return the container's own name. The engine's list also has names from links of other containers: `/web/db`."""
    return next(name[1:] for name in container["Names"] if "/" not in name[1:])


def run_in(api: docker.APIClient, container: str, *command: str) -> tuple[int, str]:
    """Run a command in a running container and return its exit status and output."""
    execution = api.exec_create(container, list(command))["Id"]
    output = api.exec_start(execution)
    return int(api.exec_inspect(execution)["ExitCode"]), output.decode(errors="replace")
