"""The credentials that go to an engine with an image reference. They are looked up at each use: some expire in minutes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import docker.credentials.store

from clusters.child_environment import HELPERS, build_child_environment
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import PullFailed
from clusters.registry.errors import RegistryError


@dataclass(frozen=True)
class PullCredentials:
    """What a CredentialSource answers for one image and one engine.

    `auth` is an AuthConfig of the Engine API (`username`, `password`, `serveraddress`). `withheld` is a sentence that says why
    stored credentials may not go to this engine. Without `auth`, the Docker config of the console's user is used if
    `may_use_config`; otherwise `config_withheld` says why not, for the case that it has credentials.
    """

    auth: Mapping[str, str] | None = field(default=None, repr=False)
    withheld: str = ""
    may_use_config: bool = False
    config_withheld: str = ""


# Takes an image reference and the engine's endpoint with the one address that is in use. It is called in any thread. Raises
# RegistryError.
CredentialSource = Callable[[str, EngineEndpoint], PullCredentials]


def no_credentials(reference: str, endpoint: EngineEndpoint) -> PullCredentials:
    """A CredentialSource that has none."""
    return PullCredentials()


def config_credentials(reference: str, endpoint: EngineEndpoint) -> PullCredentials:
    """A CredentialSource that leaves it to the Docker config of the console's user."""
    return PullCredentials(may_use_config=True)


def choose_credentials(
    reference: str, auth: Mapping[str, str] | None, source: CredentialSource, endpoint: EngineEndpoint
) -> PullCredentials:
    """Return `auth` where it is given, else what the source has. Raises PullFailed (`credentials_failed`)."""
    if auth is not None or not reference:
        return PullCredentials(auth)
    try:
        return source(reference, endpoint)
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
