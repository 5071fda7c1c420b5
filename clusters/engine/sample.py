"""The sample application `hello` for an empty engine: created like Compose v2 does, from images that need no network.

Two `web` containers with a health check serve a page; one `worker` writes a line now and then.
"""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.sdk_errors import translated_errors
from clusters.engine.errors import EngineRefused

PROJECT = "hello"
NETWORK = "hello_default"
COMPOSE_VERSION = "2.24.0"  # the labels and names are this version's
SECOND = 1_000_000_000  # nanoseconds, the Engine API's unit
APPLETS = ("sh", "httpd", "wget", "sleep", "date", "echo", "hostname")
PAGE = (
    '<!doctype html>\n<html lang="en">\n<title>hello</title>\n<h1>Hello from a container</h1>\n'
    "<p>This is the sample application. Redeploy it or scale it by a trigger.</p>\n</html>\n"
)
# The shell exits at SIGTERM. As a container's first process, the program alone would be killed after the grace period.
SERVE = "trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"
WORK = "trap 'exit 0' TERM; while :; do echo \"$(date): worked\"; sleep 30 & wait $!; done"


@dataclass(frozen=True)
class SampleService:
    name: str
    script: str
    replicas: int
    dockerfile_lines: tuple[str, ...] = ()

    @property
    def image(self) -> str:
        return f"{PROJECT}-{self.name}"

    @property
    def dockerfile(self) -> str:
        command = json.dumps(["/bin/sh", "-c", self.script])
        lines = (
            "FROM scratch",
            "ADD root.tar /",
            "ENV PATH=/bin",
            "USER 65534:65534",
            *self.dockerfile_lines,
            f"CMD {command}",
        )
        return "\n".join(lines) + "\n"


SERVICES = (
    SampleService(
        "web",
        SERVE,
        2,
        ("EXPOSE 8080", "HEALTHCHECK --interval=5s --timeout=3s --retries=3 CMD wget -q -O /dev/null http://127.0.0.1:8080/"),
    ),
    SampleService("worker", WORK, 1),
)


def deploy_sample(client: EngineClient, busybox: bytes) -> None:
    """Build the images and start the containers. `busybox` is the static program. Raises EngineError."""
    with translated_errors():
        create_network(client)
        root = make_root(busybox)
        for service in SERVICES:
            image_id = build_image(client, service, root)
            for number in range(1, service.replicas + 1):
                run_container(client, service, number, image_id)


def create_network(client: EngineClient) -> None:
    if not client.api.networks(names=[f"^{NETWORK}$"]):
        labels = {
            "com.docker.compose.network": "default",
            "com.docker.compose.project": PROJECT,
            "com.docker.compose.version": COMPOSE_VERSION,
        }
        client.api.create_network(NETWORK, driver="bridge", labels=labels)


def build_image(client: EngineClient, service: SampleService, root: bytes) -> str:
    """Build the image and return its id."""
    context = make_tar({"Dockerfile": service.dockerfile.encode(), "root.tar": root})
    for line in client.api.build(fileobj=io.BytesIO(context), custom_context=True, tag=service.image, rm=True, decode=True):
        if "error" in line:
            raise EngineRefused(f"The sample's image could not be built: {line['error']}")
    return client.api.inspect_image(service.image)["Id"]


def run_container(client: EngineClient, service: SampleService, number: int, image_id: str) -> None:
    container = client.api.create_container(
        service.image,
        name=f"{PROJECT}-{service.name}-{number}",
        labels=compose_labels(service, number, image_id),
        host_config=client.api.create_host_config(restart_policy={"Name": "unless-stopped"}, network_mode=NETWORK),
        networking_config={"EndpointsConfig": {NETWORK: {"Aliases": [f"{PROJECT}-{service.name}-{number}", service.name]}}},
    )
    client.api.start(container)


def compose_labels(service: SampleService, number: int, image_id: str) -> dict[str, str]:
    return {
        "com.docker.compose.config-hash": hashlib.sha256(service.dockerfile.encode()).hexdigest(),
        "com.docker.compose.container-number": str(number),
        "com.docker.compose.depends_on": "",
        "com.docker.compose.image": image_id,
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.project": PROJECT,
        "com.docker.compose.service": service.name,
        "com.docker.compose.version": COMPOSE_VERSION,
    }


def make_root(busybox: bytes) -> bytes:
    """Return the image's file system as a tar archive."""
    links = {f"bin/{applet}": "busybox" for applet in APPLETS}
    return make_tar({"bin/busybox": busybox, "www/index.html": PAGE.encode()}, links, executable={"bin/busybox"})


def make_tar(files: dict[str, bytes], links: dict[str, str] | None = None, executable: set[str] | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if name in (executable or ()) else 0o644
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    return stream.getvalue()


def engine_is_empty(client: EngineClient) -> bool:
    """Return whether the engine has no container at all, not even a stopped one."""
    return not client.list_containers()


def engine_architecture(client: EngineClient) -> Any:
    """Return the architecture as `uname -m` prints it: x86_64."""
    return client.info().get("Architecture")
