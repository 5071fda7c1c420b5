"""A container keeps its platform: what is pulled for it, and what its successor is created from."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.harness.driving import redeploy, scale
from tests.harness.engine import PrivateEngine
from tests.harness.projects import Project, read_ids
from tests.harness.registry import MANIFEST, PrivateRegistry

ImageMaker = Callable[..., str]
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
Json = dict[str, Any]


def publish(api: docker.APIClient, registry: PrivateRegistry, image: str, *platforms: str, tag: str = "1") -> str:
    """Push the image for the architectures, one index of them under the tag. For one alone, push it without an index."""
    entries = [put_for(api, registry, image, platform) for platform in platforms]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    kind, body = INDEX, json.dumps(index)
    if len(platforms) == 1:
        kind, body = MANIFEST, read_manifest(registry, entries[0]["digest"]).decode()
    registry.request("PUT", f"multi/manifests/{tag}", data=body, headers={"Content-Type": kind}).raise_for_status()
    return f"{registry.host}/multi:{tag}"


def read_manifest(registry: PrivateRegistry, reference: str) -> bytes:
    answer = registry.request("GET", f"multi/manifests/{reference}", headers={"Accept": MANIFEST})
    answer.raise_for_status()
    return answer.content


def put_for(api: docker.APIClient, registry: PrivateRegistry, image: str, architecture: str) -> Json:
    """Push the image with another architecture in its configuration. Return its entry for an index."""
    registry.push(api, "multi", image, "plain")
    manifest = json.loads(read_manifest(registry, "plain"))
    config = registry.request("GET", f"multi/blobs/{manifest['config']['digest']}").json() | {"architecture": architecture}
    content = json.dumps(config).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    place = registry.request("POST", "multi/blobs/uploads/").headers["Location"]
    registry.request("PUT", place, params={"digest": digest}, data=content).raise_for_status()
    manifest["config"] |= {"digest": digest, "size": len(content)}
    body = json.dumps(manifest)
    put = registry.request("PUT", f"multi/manifests/{architecture}", data=body, headers={"Content-Type": MANIFEST})
    put.raise_for_status()
    platform = {"os": "linux", "architecture": architecture}
    return {"mediaType": MANIFEST, "size": len(body), "digest": put.headers["Docker-Content-Digest"], "platform": platform}


def what_runs(api: docker.APIClient, container: str) -> tuple[str, str]:
    """Return the version and the architecture of a container's image."""
    found = api.inspect_image(api.inspect_container(container)["Image"])
    return next(entry for entry in found["Config"]["Env"] if entry.startswith("VERSION=")), found["Architecture"]


@pytest.fixture
def two_platforms(api: docker.APIClient, project: Project, registry: PrivateRegistry, image: ImageMaker) -> str:
    """Run `shop-old-1` and the application `blog` on 386, `shop-web-1` on the engine's own, all from one tag. Return it."""
    reference = publish(api, registry, image(Env=["VERSION=1"]), "amd64", "386")
    api.pull(reference, platform="linux/386")
    project.add("old", reference)
    Project(api, "blog").add("web", reference)
    api.pull(reference, platform="linux/amd64")
    project.add("web", reference)
    assert [what_runs(api, name)[1] for name in ("shop-old-1", "shop-web-1")] == ["386", "amd64"]
    return reference


def test_each_container_of_a_tag_keeps_its_platform(
    engine: PrivateEngine, api: docker.APIClient, registry: PrivateRegistry, image: ImageMaker, two_platforms: str
) -> None:
    publish(api, registry, image(Env=["VERSION=2"]), "amd64", "386")
    drive = redeploy(engine)
    assert drive.state == "succeeded", [text for _, _, text in drive.events]
    assert [what_runs(api, name) for name in ("shop-old-1", "shop-web-1")] == [("VERSION=2", "386"), ("VERSION=2", "amd64")]
    assert redeploy(engine, "blog").state == "succeeded"
    assert what_runs(api, "blog-web-1") == ("VERSION=2", "386")
    publish(api, registry, image(Env=["VERSION=3"]), "amd64", "386")
    assert redeploy(engine).state == "succeeded"  # also from what was created from an id
    assert [what_runs(api, name) for name in ("shop-old-1", "shop-web-1")] == [("VERSION=3", "386"), ("VERSION=3", "amd64")]
    assert scale(engine, 2, service="old").state == "succeeded"
    assert what_runs(api, "shop-old-2") == ("VERSION=3", "386")
    publish(api, registry, image(Env=["VERSION=4"]), "386", "arm64")
    before = read_ids(api)
    for application, wanted in (("shop", "amd64"), ("shop", "amd64")):
        drive = redeploy(engine, application, "web")
        assert drive.outcome
        assert (drive.state, wanted in drive.outcome.message) == ("failed", True), drive.outcome
    assert read_ids(api) == before
    publish(api, registry, image(Env=["VERSION=5"]), "amd64")
    drive = redeploy(engine, "blog")
    assert (drive.state, read_ids(api)) == ("failed", before), drive.outcome
    assert drive.outcome
    assert drive.outcome.message.endswith("Nothing was touched.")
    assert redeploy(engine, "shop", "web").state == "succeeded"
