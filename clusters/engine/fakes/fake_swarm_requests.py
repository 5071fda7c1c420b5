"""FakeEngine's answers as a Swarm manager."""

from collections.abc import Mapping
from typing import Any

from clusters.engine.fakes.fake_containers import Json
from clusters.engine.fakes.fake_images import join_credentials
from clusters.engine.fakes.fake_state import FakeState


class FakeSwarmRequests(FakeState):
    """The fake of `connection.swarm_requests.SwarmRequests`."""

    def list_services(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_services"):
            return self._manager().list_services(filters)

    def inspect_service(self, service: str) -> Json:
        with self._request("inspect_service"):
            return self._manager().inspect_service(service)

    def list_tasks(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_tasks"):
            return self._manager().list_tasks(filters)

    def list_nodes(self) -> list[Json]:
        with self._request("list_nodes"):
            return self._manager().list_nodes()

    def list_configs(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_configs"):
            return self._manager().list_objects("config", filters)

    def list_secrets(self, filters: Json | None = None) -> list[Json]:
        with self._request("list_secrets"):
            return self._manager().list_objects("secret", filters)

    def create_service(self, spec: Mapping[str, Any], auth: Mapping[str, str] | None = None) -> str:
        chosen = self._choose_credentials(spec["TaskTemplate"].get("ContainerSpec", {}).get("Image", ""), auth)
        with self._request("create_service", f"create service {spec['Name']}"):
            return self._manager().create_service(spec, join_credentials(chosen.auth))

    def update_service(
        self, service: str, version: int, spec: Mapping[str, Any], auth: Mapping[str, str] | None = None
    ) -> list[str]:
        chosen = self._choose_credentials(spec["TaskTemplate"].get("ContainerSpec", {}).get("Image", ""), auth)
        with self._request("update_service", f"update service {self._service_name(service)}"):
            self._manager().update_service(service, version, spec, join_credentials(chosen.auth))
            return []

    def roll_back_service(self, service: str, version: int, spec: Mapping[str, Any]) -> list[str]:
        with self._request("roll_back_service", f"roll back service {self._service_name(service)}"):
            self._manager().roll_back_service(service, version)
            return []

    def remove_service(self, service: str) -> None:
        with self._request("remove_service", f"remove service {self._service_name(service)}"):
            self._manager().delete_service(service)

    def remove_config(self, config: str) -> None:
        with self._request("remove_config", f"remove config {config}"):
            self._manager().remove_object("config", config)

    def remove_secret(self, secret: str) -> None:
        with self._request("remove_secret", f"remove secret {secret}"):
            self._manager().remove_object("secret", secret)

    def _service_name(self, service: str) -> str:
        found = (self.swarm.services if self.swarm else {}).get(service)
        return found.name if found else service
