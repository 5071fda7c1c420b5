"""Registries as the rest of Windlass uses them: which one an image is in, with which credentials, and what they may do there.

Nothing here is asked inside a transaction: registries are slow.
"""

from dataclasses import dataclass

from clusters.models import Registry
from clusters.registry.client import RegistryAccess


@dataclass(frozen=True)
class PushPermission:
    """Whether stored credentials may push to a repository, by the registry's own word. `reason`: the sentence where they may
    not, with the way to mend it."""

    allowed: bool
    reason: str = ""


def find_registry(reference: str) -> Registry | None:
    """The registry that an image reference names by its host, or by one of the other hosts. None: none is stored, or the
    reference cannot be read."""
    raise NotImplementedError


def open_access(registry: Registry) -> RegistryAccess:
    """With credentials that are fresh: a credential helper is asked. Raises RegistryError."""
    raise NotImplementedError


def engine_credentials(reference: str) -> dict[str, str] | None:
    """What an engine needs to pull it (`username`, `password`, `serveraddress`); None without a stored registry or user.
    Raises RegistryError when a credential helper fails."""
    raise NotImplementedError


def test_registry(registry: Registry) -> str:
    """Ask it with the stored credentials and keep what was seen (`checked_at`, `problem`, limits). A sentence for people.
    Raises RegistryError."""
    raise NotImplementedError


def find_push_permission(repository: str) -> PushPermission:
    """Kept for PERMISSION_SECONDS by registry, user and repository. `repository` as ImageReference has it."""
    raise NotImplementedError
