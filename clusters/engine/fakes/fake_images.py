"""FakeEngine's images: how they are stored, tagged and shown."""

from collections.abc import Mapping
from datetime import UTC, datetime

from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.connection.pull_failures import classify_pull_failure
from clusters.engine.errors import EngineError, EngineRefused, TargetMissing
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_containers import Json, make_id
from clusters.engine.fakes.fake_state import RUNS, FakeState


class FakeImages(FakeState):
    """The engine's images, and what its registry lets it pull."""

    def _make_image(self, config: Json) -> str:
        image_id = f"sha256:{make_id('image', self._next())}"
        platform = {"Os": "linux", "Architecture": config.pop("Architecture", "amd64")}
        full = {"Env": [], "Cmd": RUNS, "Entrypoint": None, "Labels": {}, "WorkingDir": "", "User": "", **copy_of(config)}
        names: Json = {"Id": image_id, "RepoTags": [], "RepoDigests": [], **platform}
        self.images[image_id] = {**names, "Config": full, "Created": self._now(), "Size": 0, "ParentId": ""}
        return image_id

    def _tag(self, image_id: str, reference: str) -> None:
        for image in self.images.values():
            if reference in image["RepoTags"]:
                image["RepoTags"].remove(reference)
        self.images[image_id]["RepoTags"].append(reference)
        self._emit("image", "tag", image_id, reference)

    def _untag(self, image: Json, reference: str) -> Json:
        image["RepoDigests" if "@" in reference else "RepoTags"].remove(reference)
        self._emit("image", "untag", image["Id"], image["Id"])
        return {"Untagged": reference}

    def _children(self, image: Json) -> list[Json]:
        return [other for other in self.images.values() if other["ParentId"] == image["Id"]]

    def _measure_image(self, image: Json) -> Json:
        """Return how many containers use the image and how much it shares: all of a parent image, else its parent's size."""
        parent = self.images.get(image["ParentId"])
        shared = image["Size"] if self._children(image) else parent["Size"] if parent else 0
        return {"Containers": sum(one["Image"] == image["Id"] for one in self.containers.values()), "SharedSize": shared}

    def _check_unused(self, image: Json) -> None:
        """Raises EngineRefused where a container was created from the image."""
        users = [one for one in self.containers.values() if one["Image"] == image["Id"]]
        for user in sorted(users, key=lambda one: not one["State"]["Running"]):
            state, force = ("running", "cannot be forced") if user["State"]["Running"] else ("stopped", "must be forced")
            raise make_conflict(
                f"unable to delete {image['Id'][7:19]} ({force}) - image is being used by {state} container {user['Id'][:12]}"
            )

    def _check_login(self, reference: str, chosen: PullCredentials) -> None:
        if not self._may_pull(reference, join_credentials(chosen.auth)):
            sent = chosen.auth is not None
            raise classify_pull_failure(reference, "no basic auth credentials", had_credentials=sent, withheld=chosen.withheld)

    def _may_pull(self, reference: str, credentials: str) -> bool:
        return self.private.get(reference.partition("/")[0], credentials) == credentials

    def _find_published(self, reference: str, platform: str) -> str | EngineError | None:
        """Return what a pull gets: an image's id, or an error; None where the registry does not have it."""
        digest = reference.partition("@")[2]
        if digest and reference not in self.registry:
            return next((image_id for image_id in self.published if self.digest_of(image_id) == digest), None)
        return self.registry.get(f"{reference} {platform}" if platform else reference)

    def digest_of(self, image_id: str) -> str:
        """Return the registry's digest of the image."""
        return f"sha256:{make_id('digest', image_id)}"

    def _image_for_node(self, reference: str, credentials: str) -> Json | None:
        """Return the config of the image that a node pulls for a task, by its digest, else by its tag. None where it cannot."""
        if not self._may_pull(reference, credentials):
            return None
        name, _, digest = reference.partition("@")
        if digest:
            found = [image for image_id, image in self.images.items() if self.digest_of(image_id) == digest]
            return found[0]["Config"] if found else None
        published = self.registry.get(add_tag(name))
        try:
            return dict((self.images[published] if isinstance(published, str) else self._find_image(name))["Config"])
        except TargetMissing:
            return None


def add_tag(reference: str) -> str:
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def describe_image(image: Json) -> Json:
    """Return the image's entry in the list. An image with neither tag nor digest has a placeholder for each."""
    nameless = not image["RepoTags"] and not image["RepoDigests"]
    return {
        "Id": image["Id"],
        "ParentId": image["ParentId"],
        "RepoTags": ["<none>:<none>"] if nameless else list(image["RepoTags"]) or None,
        "RepoDigests": ["<none>@<none>"] if nameless else list(image["RepoDigests"]) or None,
        "Created": int(datetime.fromisoformat(image["Created"][:26]).replace(tzinfo=UTC).timestamp()),
        "Size": image["Size"],
        "SharedSize": -1,
        "Containers": -1,
        "Labels": image["Config"].get("Labels"),
    }


def is_single_reference(image: Json) -> bool:
    """Return whether the engine removes the image by its id: it has at most one tag, and digests of one repository."""
    names = [*(tag.rpartition(":")[0] for tag in image["RepoTags"]), *(d.partition("@")[0] for d in image["RepoDigests"])]
    return len(image["RepoTags"]) < 2 and len(set(names)) < 2


def make_conflict(message: str) -> EngineRefused:
    return EngineRefused(f"conflict: {message}", code="conflict")


def join_credentials(auth: Mapping[str, str] | None) -> str:
    return f"{auth['username']}:{auth['password']}" if auth else ""
