"""FakeEngine's answers about networks and volumes."""

from collections.abc import Mapping
from typing import Any

from clusters.engine.errors import EngineRefused, TargetMissing
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_containers import Json, has_labels
from clusters.engine.fakes.fake_endpoints import FakeEndpoints


class FakeNetworkRequests(FakeEndpoints):
    """The fake of `connection.network_requests.NetworkRequests`."""

    def list_networks(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_networks"):
            words = (filters or {}).get("label") or []
            return [copy_of(one) for one in self.networks.values() if has_labels(one.get("Labels") or {}, words)]

    def connect_network(self, network: str, container: str, endpoint_config: Mapping[str, Any]) -> None:
        with self._request("connect_network", f"connect {self._name(container)} {network}"):
            found = self._find(container)
            name = self._find_network(network)["Name"]
            if name in found["NetworkSettings"]["Networks"]:
                raise EngineRefused(f"endpoint with name {found['Name'][1:]} already exists in network {name}")
            if found["HostConfig"]["NetworkMode"].startswith("container:"):
                raise EngineRefused("container sharing network namespace with another container or host cannot be connected")
            self._connect(found, name, dict(endpoint_config))
            if found["State"]["Running"]:
                self._attach(found, name)

    def disconnect_network(self, network: str, container: str) -> None:
        with self._request("disconnect_network", f"disconnect {self._name(container)} {network}"):
            found = self._find(container)
            name = self._find_network(network)["Name"]
            if found["NetworkSettings"]["Networks"].pop(name, None) is None:
                raise EngineRefused(f"container {found['Id']} is not connected to network {name}")

    def remove_network(self, network: str) -> None:
        with self._request("remove_network", f"remove-network {network}"):
            found = self._find_network(network)
            if self.swarm:
                self.swarm.step()
            if self.swarm and self.swarm.uses("network", found["Id"]):
                raise EngineRefused(f"rpc error: network {found['Id']} is in use by service")
            running = (c for c in self.containers.values() if c["State"]["Running"])
            if any(found["Name"] in container["NetworkSettings"]["Networks"] for container in running):
                raise EngineRefused(f"error while removing network: network {found['Name']} has active endpoints")
            del self.networks[found["Name"]]

    def remove_volume(self, volume: str) -> None:
        with self._request("remove_volume", f"remove-volume {volume}"):
            if volume not in self.volumes:
                raise TargetMissing(f"get {volume}: no such volume")
            if self._is_used(volume):
                raise EngineRefused(f"remove {volume}: volume is in use", code="conflict")
            self.volumes.discard(volume)
