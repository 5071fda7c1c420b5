"""FakeEngine's answers about images."""

from collections.abc import Callable, Mapping

from clusters.engine.errors import EngineError, PullFailed
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_containers import Json
from clusters.engine.fakes.fake_images import FakeImages, add_tag, describe_image, is_single_reference, make_conflict


class FakeImageRequests(FakeImages):
    """The fake of `connection.image_requests.ImageRequests`."""

    def list_images(self, sizes: bool = False) -> list[Json]:
        with self._request("list_images"):
            return [
                describe_image(image)
                for image in self.images.values()
                if image["RepoTags"] or image["RepoDigests"] or not self._children(image)
            ]

    def inspect_image(self, image: str) -> Json:
        with self._request("inspect_image"):
            return copy_of(self._find_image(image))

    def resolve_digest(self, reference: str, auth: Mapping[str, str] | None = None) -> str:
        chosen = self._choose_credentials(reference, auth)
        with self._request("resolve_digest"):
            self._check_login(reference, chosen)
            answer = self.registry.get(add_tag(reference))
            if isinstance(answer, EngineError):
                raise answer
            if answer is None:
                raise PullFailed(f"{reference} could not be pulled: manifest unknown.", code="pull_not_found")
            return self.digest_of(answer)

    def check_credentials(self, reference: str) -> None:
        self._choose_credentials(reference, None)

    def pull_image(
        self,
        reference: str,
        auth: Mapping[str, str] | None = None,
        on_progress: Callable[[], None] = lambda: None,
        platform: str = "",
    ) -> None:
        chosen = self._choose_credentials(reference, auth)
        with self._request("pull_image", f"pull {reference}"):
            self._check_login(reference, chosen)
            answer = self._find_published(reference, platform)
            if isinstance(answer, EngineError):
                raise answer
            if answer is None:
                raise PullFailed(f"{reference} could not be pulled: manifest unknown.", code="pull_not_found")
            if answer not in self.images:
                self.images[answer] = copy_of(self.published[answer])
            name, _, by_digest = reference.partition("@")
            if not by_digest:
                self._tag(answer, reference)
            digest = f"{name if by_digest else name.rpartition(':')[0]}@{self.digest_of(answer)}"
            if digest not in self.images[answer]["RepoDigests"]:
                self.images[answer]["RepoDigests"].append(digest)
            self._emit("image", "pull", reference, reference)
        on_progress()

    def remove_image(self, image: str) -> list[Json]:
        with self._request("remove_image", f"remove-image {image}"):
            found = self._find_image(image)
            references = [*found["RepoTags"], *found["RepoDigests"]]
            named = [one for one in references if image in (one, one.removesuffix(":latest"))]
            if named and len(references) > 1:
                return [self._untag(found, named[0])]
            if not named and not is_single_reference(found):
                raise make_conflict(
                    f"unable to delete {image[7:19]} (must be forced) - image is referenced in multiple repositories"
                )
            self._check_unused(found)
            if self._children(found):
                if not named:
                    raise make_conflict(f"unable to delete {image[7:19]} (cannot be forced) - image has dependent child images")
                return [self._untag(found, named[0])]
            untagged = [self._untag(found, one) for one in references]
            del self.images[found["Id"]]
            self._emit("image", "delete", found["Id"], found["Id"])
            return [*untagged, {"Deleted": found["Id"]}]

    def tag_image(self, image: str, reference: str) -> None:
        with self._request("tag_image", f"tag {reference}"):
            self._tag(self._find_image(image)["Id"], reference)
