"""How FakeEngine attaches containers to networks."""

from ipaddress import ip_network

from clusters.engine.errors import EngineRefused
from clusters.engine.fakes.fake_containers import Json, make_mac
from clusters.engine.fakes.fake_state import PREDEFINED_NETWORKS, FakeState


class FakeEndpoints(FakeState):
    """The endpoints of containers in networks."""

    def _connect(self, container: Json, network: str, endpoint: Json) -> None:
        """Store the endpoint. It gets its address when the container starts."""
        known = self.networks.get(network) or next((n for n in self.networks.values() if n["Id"] == network), None)
        if endpoint.get("Aliases") and network in PREDEFINED_NETWORKS:
            raise EngineRefused("network-scoped alias is supported only for containers in user defined networks")
        settings = {
            "IPAMConfig": endpoint.get("IPAMConfig") or None,
            "Links": endpoint.get("Links"),
            "Aliases": list(endpoint.get("Aliases") or []) or None,
            "DriverOpts": endpoint.get("DriverOpts"),
            "NetworkID": known["Id"] if known and container["State"]["Running"] else "",
            "IPAddress": "",
            "Gateway": "",
            "GlobalIPv6Address": "",
            "MacAddress": "",
        }
        container["NetworkSettings"]["Networks"][known["Name"] if known else network] = settings

    def _attach(self, container: Json, network: str) -> None:
        """Give the endpoint its address, as a start does."""
        found = self._find_network(network)
        settings = container["NetworkSettings"]["Networks"][found["Name"]]
        wanted: str = (settings["IPAMConfig"] or {}).get("IPv4Address", "")
        pools = (found.get("IPAM") or {}).get("Config") or []
        if wanted and not pools:
            raise EngineRefused(
                "user specified IP address is supported only when connecting to networks with user configured subnets"
            )
        if wanted and wanted in self._addresses(found["Name"]):
            raise EngineRefused("Address already in use")
        settings["NetworkID"] = found["Id"]
        if network not in PREDEFINED_NETWORKS:
            settings["Aliases"] = list(dict.fromkeys([*(settings["Aliases"] or []), container["Id"][:12]]))
        if network not in ("host", "none"):
            subnet = ip_network(pools[0]["Subnet"] if pools else "172.31.0.0/16")
            settings["IPAddress"] = wanted or str(subnet[2 + self._next() % (subnet.num_addresses - 3)])
            settings["MacAddress"] = container["Config"].get("MacAddress") or make_mac(settings["IPAddress"])

    def _addresses(self, network: str) -> set[str]:
        running = (c for c in self.containers.values() if c["State"]["Running"])
        return {c["NetworkSettings"]["Networks"].get(network, {}).get("IPAddress", "") for c in running}
