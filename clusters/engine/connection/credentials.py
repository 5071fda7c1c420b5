"""Which credentials go to an engine along with an image reference. They are asked for at each use: some hold for minutes."""

from collections.abc import Callable, Mapping

from clusters.engine.errors import PullFailed
from clusters.registry.errors import RegistryError

# credentials(reference) -> an AuthConfig (`username`, `password`, `serveraddress`), or None where it knows of none. Asked in
# threads other than the caller's too. Raises RegistryError.
CredentialSource = Callable[[str], Mapping[str, str] | None]


def no_credentials(reference: str) -> None:
    """A CredentialSource that knows of none."""


def choose_auth(reference: str, auth: Mapping[str, str] | None, source: CredentialSource) -> Mapping[str, str] | None:
    """What was given comes before what is stored. Raises PullFailed (`credentials_failed`)."""
    if auth is not None or not reference:
        return auth
    try:
        return source(reference)
    except RegistryError as error:
        raise credentials_failed(reference, error.message) from error


def credentials_failed(reference: str, message: str) -> PullFailed:
    sentence = message.strip()[:500].rstrip(".")
    return PullFailed(f"The credentials for {reference} could not be read: {sentence}.", code="credentials_failed")
