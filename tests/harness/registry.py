"""A real Distribution registry for one test session, on 127.0.0.1 or an address that a Swarm's nodes reach."""

import contextlib
import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests

from clusters.registry.access import RegistryAccess
from tests.harness.certificates import Signed, sign
from tests.harness.proc import find_free_port, find_program, start_process, stop_process

READY_WITHIN = 15.0  # seconds
# With `run_registry(folder, **LOGIN)` the registry requires a login.
LOGIN = {
    "user": "windlass",
    "password": "hunter2",
    "htpasswd": "windlass:$2b$04$EZ81/Pstxe8/oPviJm1jMeMhfSwRkvj/9s3J8Ydw4nMHZeT1ny7aK",
}
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass
class PrivateRegistry:
    folder: Path
    port: int
    user: str = ""
    password: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    address: str = "127.0.0.1"
    ca_file: str = ""  # of the authority that signed its certificate; empty for plain HTTP

    @property
    def host(self) -> str:
        """The host in image references: `127.0.0.1:40123`. Engines accept plain HTTP there, but elsewhere need a setting."""
        return f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.ca_file else 'http'}://{self.host}"

    def access(self, username: str = "", password: str = "", ca: str = "") -> RegistryAccess:
        """Return the access for the console's client, anonymous unless a user is given."""
        return RegistryAccess(self.host, username, password, ca, plain_http=not self.ca_file)

    @property
    def auth(self) -> dict[str, str] | None:
        """Return the SDK's `auth_config`."""
        return {"username": self.user, "password": self.password} if self.user else None

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        login = (self.user, self.password) if self.user else None
        address = path if path.startswith(self.url) else f"{self.url}/v2/{path}"
        return requests.request(method, address, auth=login, timeout=10, verify=self.ca_file or True, **options)

    def read_digest(self, name: str, tag: str) -> str:
        """Return `sha256:…` of the manifest that the tag currently names."""
        answer = self.request("HEAD", f"{name}/manifests/{tag}", headers={"Accept": MANIFEST})
        answer.raise_for_status()
        return answer.headers["Docker-Content-Digest"]

    def delete_tag(self, name: str, tag: str) -> None:
        self.request("DELETE", f"{name}/manifests/{self.read_digest(name, tag)}").raise_for_status()

    def push(self, api: docker.APIClient, name: str, image: str, tag: str = "latest") -> str:
        """Push the local image as `<host>/<name>:<tag>` without moving the engine's own tag. Returns its reference."""
        reference = f"{self.host}/{name}:{tag}"
        before = find_image_id(api, reference)
        api.tag(image, f"{self.host}/{name}", tag)
        for line in api.push(f"{self.host}/{name}", tag, stream=True, decode=True, auth_config=self.auth):
            if "error" in line:
                raise AssertionError(f"Pushing {reference}: {line['error']}")
        if before:
            api.tag(before, f"{self.host}/{name}", tag)
        else:
            api.remove_image(reference, noprune=True)
        return reference

    def put_image(self, name: str, tag: str = "latest", content: bytes = b"{}", token: str = "") -> str:
        """Create an image without layers whose configuration is `content`, without an engine. Returns its digest."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        opened = self.request("POST", f"{name}/blobs/uploads/", headers=headers)
        opened.raise_for_status()
        place = opened.headers["Location"]
        self.request("PUT", place, params={"digest": digest}, data=content, headers=headers).raise_for_status()
        config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(content), "digest": digest}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []})
        put = self.request("PUT", f"{name}/manifests/{tag}", data=manifest, headers={**headers, "Content-Type": MANIFEST})
        put.raise_for_status()
        return put.headers["Docker-Content-Digest"]

    def stop(self) -> None:
        """Stop the registry. `start` brings it back with everything that was pushed."""
        if self.process:
            stop_process(self.process)
            self.process = None

    def start(self) -> None:
        command = [find_program("docker-registry", "registry") or "docker-registry", "serve", str(self.folder / "config.json")]
        self.process = start_process(command, self.folder / "registry.log")
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(requests.RequestException):
                if self.request("GET", "").status_code in {200, 401}:
                    return
            time.sleep(0.05)
        log = (self.folder / "registry.log").read_text(errors="replace")[-2000:]
        raise AssertionError(f"The registry did not get ready within {READY_WITHIN:g} s. The end of its log:\n{log}")


def find_image_id(api: docker.APIClient, reference: str) -> str:
    with contextlib.suppress(docker.errors.ImageNotFound):
        return str(api.inspect_image(reference)["Id"])
    return ""


@contextlib.contextmanager
def run_registry(
    folder: Path,
    *,
    htpasswd: str = "",
    user: str = "",
    password: str = "",
    notify: list[dict[str, Any]] | None = None,
    address: str = "127.0.0.1",
    port: int = 0,
    token: dict[str, str] | None = None,
    tls: Signed | None = None,
) -> Iterator[PrivateRegistry]:
    """Run a registry that allows deletes.

    `htpasswd` is that file's text (bcrypt only), `notify` Distribution's `notifications.endpoints`.
    `address` is one of this machine's; without `port` a free one is taken. `token` is its `auth.token`, as
    tests.harness.token_server gives it. `tls` is the authority that signs its certificate.
    """
    if not find_program("docker-registry", "registry"):
        raise AssertionError("These tests need an image registry: `apt-get install docker-registry` installs it on Debian.")
    registry = PrivateRegistry(folder, port or find_free_port(address), user, password, address=address)
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": registry.host, "secret": "for-tests"},
    }
    if htpasswd:
        (folder / "htpasswd").write_text(htpasswd)
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    if token:
        config["auth"] = {"token": token}
    if tls:
        config["http"]["tls"] = write_certificates(folder, tls)
        registry.ca_file = str(folder / "ca.pem")
    if notify:
        config["notifications"] = {"endpoints": notify}
    (folder / "config.json").write_text(json.dumps(config))  # JSON is YAML
    try:
        registry.start()
        yield registry
    finally:
        registry.stop()


def write_certificates(folder: Path, authority: Signed) -> dict[str, str]:
    """Return the registry's `http.tls`."""
    server = sign("registry", authority)
    texts = {"ca": authority.certificate_pem, "certificate": server.certificate_pem, "key": server.key_pem}
    for name, text in texts.items():
        (folder / f"{name}.pem").write_text(text)
    return {name: str(folder / f"{name}.pem") for name in ("certificate", "key")}
