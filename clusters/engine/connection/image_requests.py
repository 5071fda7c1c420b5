"""Requests about images, including those that the engine passes on to a registry."""

from collections.abc import Callable, Mapping
from typing import Any

import requests
import urllib3
from docker.utils import parse_repository_tag

from clusters.engine.connection.podman import translate_images
from clusters.engine.connection.pull_failures import classify_pull_failure
from clusters.engine.connection.requester import EngineRequester, PullHeaders
from clusters.engine.errors import EngineRefused, EngineUnreachable, PullFailed, TargetMissing

REGISTRY_PATIENCE = 60.0  # seconds to wait for an answer that the engine first fetches from a registry
PULL_SILENCE = 300.0  # seconds without a progress line after which a pull is given up


class ImageRequests(EngineRequester):
    """The part of EngineClient for images."""

    def list_images(self, sizes: bool = False) -> list[dict[str, Any]]:
        """Return all images. With `sizes`, and from API 1.42 on, each has its SharedSize; otherwise that is -1."""
        with self._translated():
            found: list[dict[str, Any]] = self._get_json("/images/json", {"shared-size": "1"} if sizes else {})
            return translate_images(found) if self.libpod_version else found

    def inspect_image(self, image: str) -> dict[str, Any]:
        with self._translated():
            return self.api.inspect_image(image)

    def resolve_digest(self, reference: str, auth: Mapping[str, str] | None = None) -> str:
        """Return the digest (`sha256:…`, of the index where there is one) that a registry now has under the reference.

        The engine fetches it (GET /distribution/…/json). Since API 1.30 Swarm does not look it up for an update and would keep
        the digest it has. `auth` as in pull_image. Raises PullFailed.
        """
        chosen = self._choose_pull_headers(reference, auth)
        try:
            with self._translated():
                url = self._raw._url("/distribution/{0}/json", reference)
                answer = self._raw._get(url, headers=chosen.headers, timeout=REGISTRY_PATIENCE)
                self._raw._raise_for_status(answer)
                return str(answer.json()["Descriptor"]["digest"])
        except EngineUnreachable as error:
            if not isinstance(error.__cause__, requests.exceptions.ReadTimeout):
                raise
            silence = f"its registry did not answer the engine within {REGISTRY_PATIENCE:.0f} s"
            raise PullFailed(f"{reference} could not be resolved: {silence}.") from error
        except (EngineRefused, TargetMissing) as error:
            raise classify_failure(reference, error.message, chosen) from error

    def check_credentials(self, reference: str) -> None:
        """Raises PullFailed (`credentials_failed`) where using the credentials for the reference would raise it."""
        self._choose_pull_headers(reference, None)

    def pull_image(
        self,
        reference: str,
        auth: Mapping[str, str] | None = None,
        on_progress: Callable[[], None] = lambda: None,
        platform: str = "",
    ) -> None:
        """Pull an image; return when the engine has it. `auth` is an AuthConfig; without one, `credentials` is used.

        `on_progress` is called at each progress line; an error that it raises ends the pull. `platform`, such as `linux/386`,
        is requested if it is given, else the engine's own. Raises PullFailed.
        """
        repository, tag = parse_repository_tag(reference)
        query = {"fromImage": repository, "tag": tag or "latest"} | ({"platform": platform} if platform else {})
        chosen = self._choose_pull_headers(reference, auth)
        try:
            with self._translated():
                url = self._raw._url("/images/create")
                answer = self._raw._post(url, params=query, headers=chosen.headers, stream=True, timeout=PULL_SILENCE)
                self._raw._raise_for_status(answer)
                for line in self._raw._stream_helper(answer, decode=True):
                    if message := line.get("error"):
                        raise classify_failure(reference, str(message), chosen)
                    on_progress()
        except (EngineRefused, TargetMissing) as error:
            raise classify_failure(reference, error.message, chosen) from error
        except (EngineUnreachable, urllib3.exceptions.ReadTimeoutError) as error:
            if isinstance(error, EngineUnreachable) and not isinstance(error.__cause__, requests.exceptions.ReadTimeout):
                raise
            silence = f"the engine reported no progress for {PULL_SILENCE:.0f} s. Check whether its registry answers"
            raise PullFailed(f"{reference} could not be pulled: {silence}.") from error

    def tag_image(self, image: str, reference: str) -> None:
        repository, tag = parse_repository_tag(reference)
        with self._translated():
            self.api.tag(image, repository, tag or "latest")

    def remove_image(self, image: str) -> list[dict[str, str]]:
        """Remove an image, or only untag it where a reference is given and the image has others. Never forces.

        Returns what was done, as `{"Untagged": reference}` and `{"Deleted": id}`. Raises EngineRefused (`conflict`) for an
        image that is in use or has children, and for the id of an image with several tags.
        """
        with self._translated():
            return self.api.remove_image(image)


def classify_failure(reference: str, message: str, sent: PullHeaders) -> PullFailed:
    return classify_pull_failure(reference, message, had_credentials=bool(sent.headers), withheld=sent.withheld)
