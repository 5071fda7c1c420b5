"""Requests about networks and volumes."""

from collections.abc import Mapping
from typing import Any

from clusters.engine.connection.requester import EngineRequester


class NetworkRequests(EngineRequester):
    """The part of EngineClient for networks and volumes."""

    def list_networks(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._translated():
            return list(self.api.networks(filters=filters))

    def connect_network(self, network: str, container: str, endpoint_config: Mapping[str, Any]) -> None:
        """`endpoint_config` is an EndpointSettings. It is sent as it is: the SDK's own method knows only some of its fields."""
        self._post("/networks/{0}/connect", network, {"Container": container, "EndpointConfig": dict(endpoint_config)})

    def disconnect_network(self, network: str, container: str) -> None:
        self._post("/networks/{0}/disconnect", network, {"Container": container, "Force": False})

    def remove_network(self, network: str) -> None:
        """Raises EngineRefused while a running container or a Swarm task is attached to the network."""
        with self._translated():
            self.api.remove_network(network)

    def remove_volume(self, volume: str) -> None:
        """Raises EngineRefused (`conflict`) while a container uses the volume."""
        with self._translated():
            self.api.remove_volume(volume)
