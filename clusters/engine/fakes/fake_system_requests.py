"""FakeEngine's answers about the engine as a whole."""

from datetime import UTC, datetime

from clusters.engine.connection.podman import ENGINE_COMPONENT
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_containers import Json
from clusters.engine.fakes.fake_images import FakeImages, describe_image


class FakeSystemRequests(FakeImages):
    """The fake of `connection.system_requests.SystemRequests`. With `libpod_version` it is Podman, see EngineRequester."""

    libpod_version = ""

    def version(self) -> Json:
        with self._request("version"):
            version: Json = {"Version": self._server_version, "ApiVersion": self._api_version, "Os": "linux", "Arch": "amd64"}
            if self.libpod_version:
                details = {"APIVersion": self.libpod_version}
                version["Components"] = [{"Name": ENGINE_COMPONENT, "Version": self.libpod_version, "Details": details}]
            return version

    def info(self) -> Json:
        with self._request("info"):
            return {
                "ID": "FAKE:ENGINE",
                "Name": "fake-engine",
                "Containers": len(self.containers),
                "ServerVersion": self._server_version,
                "OperatingSystem": "Fake Linux",
                "Architecture": "x86_64",
                "NCPU": 2,
                "MemTotal": 4 << 30,
                "SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "Swarm": self.swarm.describe() if self.swarm else {"LocalNodeState": "inactive", "ControlAvailable": False},
            }

    def disk_usage(self) -> Json:
        with self._request("disk_usage"):
            images = [{**describe_image(image), **self._measure_image(image)} for image in self.images.values()]
            return {
                "LayersSize": sum(image["Size"] - image["SharedSize"] for image in images),
                "Images": images,
                "Containers": [{**self._describe(one), "SizeRw": 0} for one in self.containers.values()],
                "Volumes": [
                    {"Name": name, "UsageData": {"RefCount": int(self._is_used(name)), "Size": 0}} for name in self.volumes
                ],
                "BuildCache": self.build_cache,
            }

    def list_events(self, since: float, until: float) -> list[Json]:
        with self._request("list_events"):
            return [copy_of(event) for event in self.events[-256:] if since <= event["timeNano"] / 1e9 <= until]
