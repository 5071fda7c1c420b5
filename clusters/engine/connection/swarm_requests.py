"""Requests that only a Swarm manager answers."""

from collections.abc import Mapping
from typing import Any

from clusters.engine.connection.requester import EngineRequester


class SwarmRequests(EngineRequester):
    """The part of EngineClient for Swarm.

    Each method raises NotManager on an engine that is not a manager, and SwarmUnavailable while the Swarm has no leader.
    """

    def list_services(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._translated():
            return self.api.services(filters=filters)

    def inspect_service(self, service: str) -> dict[str, Any]:
        """Return the service without the defaults that Swarm would fill in, so that its Spec can be sent back."""
        with self._translated():
            return self.api.inspect_service(service)

    def list_tasks(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return present and past tasks. `filters` such as {"service": [id, id]}."""
        with self._translated():
            return self.api.tasks(filters=filters)

    def list_nodes(self) -> list[dict[str, Any]]:
        with self._translated():
            return self.api.nodes()

    def list_configs(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._translated():
            return list(self.api.configs(filters=filters))

    def list_secrets(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the secrets without their values, which no engine reveals."""
        with self._translated():
            return list(self.api.secrets(filters=filters))

    def create_service(self, spec: Mapping[str, Any], auth: Mapping[str, str] | None = None) -> str:
        """Create a service and return its id. The credentials for its image go along, as in pull_image.

        Raises EngineRefused when the name is taken, PullFailed (`credentials_failed`).
        """
        image = spec["TaskTemplate"].get("ContainerSpec", {}).get("Image", "")
        chosen = self._choose_pull_headers(image, auth)
        with self._translated():
            answer = self._raw._post_json(self._raw._url("/services/create"), data=dict(spec), headers=chosen.headers)
            self._raw._raise_for_status(answer)
            return str(answer.json()["ID"])

    def update_service(
        self, service: str, version: int, spec: Mapping[str, Any], auth: Mapping[str, str] | None = None
    ) -> list[str]:
        """Send a whole spec, based on the service as it was read at `version`. Returns the engine's warnings.

        The credentials for the spec's image go along, as in pull_image; without any, Swarm keeps those it has. The SDK's own
        method is not used: it rebuilds the spec and loses the fields it does not know. Raises EngineRefused
        (`out_of_sequence`), PullFailed (`credentials_failed`).
        """
        image = spec["TaskTemplate"].get("ContainerSpec", {}).get("Image", "")
        chosen = self._choose_pull_headers(image, auth)
        return self._update_service(service, {"version": version, "registryAuthFrom": "spec"}, spec, chosen.headers)

    def roll_back_service(self, service: str, version: int, spec: Mapping[str, Any]) -> list[str]:
        """Let Swarm roll the service back to its previous spec, with the credentials of that spec.

        `spec` is the present one: the API requires it, and replaces it by the previous one. Raises EngineRefused
        (`out_of_sequence`).
        """
        query = {"version": version, "rollback": "previous", "registryAuthFrom": "previous-spec"}
        return self._update_service(service, query, spec, {})

    def _update_service(
        self, service: str, query: dict[str, Any], spec: Mapping[str, Any], headers: dict[str, str]
    ) -> list[str]:
        with self._translated():
            url = self._raw._url("/services/{0}/update", service)
            answer = self._raw._post_json(url, data=dict(spec), params=query, headers=headers)
            self._raw._raise_for_status(answer)
            return [str(warning) for warning in (answer.json() or {}).get("Warnings") or []]

    def remove_service(self, service: str) -> None:
        """Remove the service. Its tasks end some time after the answer."""
        with self._translated():
            self.api.remove_service(service)

    def remove_config(self, config: str) -> None:
        """Raises EngineRefused while a service uses the config."""
        with self._translated():
            self.api.remove_config(config)

    def remove_secret(self, secret: str) -> None:
        """Raises EngineRefused while a service uses the secret."""
        with self._translated():
            self.api.remove_secret(secret)
