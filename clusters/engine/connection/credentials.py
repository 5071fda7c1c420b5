"""The credentials that go to an engine with an image reference. They are looked up at each use: some expire in minutes."""

from collections.abc import Callable, Mapping

import docker.credentials.store

from clusters.child_environment import HELPERS, build_child_environment
from clusters.engine.errors import PullFailed
from clusters.registry.errors import RegistryError

# Takes an image reference; returns an AuthConfig (`username`, `password`, `serveraddress`), or None where it has none. It is
# called in any thread. Raises RegistryError.
CredentialSource = Callable[[str], Mapping[str, str] | None]


def no_credentials(reference: str) -> None:
    """A CredentialSource that has none."""


def choose_auth(reference: str, auth: Mapping[str, str] | None, source: CredentialSource) -> Mapping[str, str] | None:
    """Return `auth` where it is given, else the source's credentials. Raises PullFailed (`credentials_failed`)."""
    if auth is not None or not reference:
        return auth
    try:
        return source(reference)
    except RegistryError as error:
        raise make_credentials_failure(reference, error.message) from error


def make_credentials_failure(reference: str, message: str) -> PullFailed:
    sentence = message.strip()[:500].rstrip(".")
    return PullFailed(f"The credentials for {reference} could not be read: {sentence}.", code="credentials_failed")


def use_clean_environment() -> None:
    """Make the SDK start the credential helpers of the user's Docker config with what helpers need alone."""
    docker.credentials.store.create_environment_dict = make_helper_environment  # type: ignore[attr-defined]


def make_helper_environment(overrides: Mapping[str, str] | None) -> dict[str, str]:
    return {**build_child_environment(*HELPERS), **(overrides or {})}
