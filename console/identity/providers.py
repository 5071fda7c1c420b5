"""The identity providers: those of the page Sign-in, and at most one of the environment, which that page shows only."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from console.models import IdentityProvider

ENVIRONMENT = "environment"  # the key of the environment's provider


@dataclass(frozen=True)
class Provider:
    """A provider. `key` is in addresses: the row's id, or ENVIRONMENT. The secret is read at its use: decrypting costs
    memory."""

    key: str
    issuer: str
    name: str
    client_id: str
    scopes: str
    groups_claim: str
    admits: str
    given_secret: str = field(default="", repr=False)
    is_enabled: bool = True

    @property
    def is_environments(self) -> bool:
        return self.key == ENVIRONMENT

    def read_secret(self) -> str:
        if self.is_environments:
            return self.given_secret
        return IdentityProvider.objects.values_list("client_secret", flat=True).filter(pk=int(self.key)).first() or ""


def list_providers() -> list[Provider]:
    """Return all, by name, the environment's first. A row with the environment's issuer is hidden by it. One query."""
    own = read_environment()
    rows = IdentityProvider.objects.defer("client_secret")
    return [*([own] if own else []), *(make_provider(row) for row in rows if own is None or row.issuer != own.issuer)]


def find_provider(key: str) -> Provider | None:
    return next((provider for provider in list_providers() if provider.key == key), None)


def read_environment() -> Provider | None:
    found: dict[str, Any] = settings.OIDC
    return Provider(ENVIRONMENT, **found) if found["issuer"] else None


def make_provider(row: IdentityProvider) -> Provider:
    texts = (row.issuer, row.name, row.client_id, row.scopes, row.groups_claim, row.admits)
    return Provider(str(row.pk), *texts, is_enabled=row.is_enabled)
