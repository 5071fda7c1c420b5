import pytest

from console.identity.id_tokens import known_keys
from console.identity.protocol import discoveries
from console.identity.tests.fake_provider import CLIENT, ISSUER, SECRET, FakeProvider
from console.models import IdentityProvider


@pytest.fixture
def provider_row(db):
    return IdentityProvider.objects.create(
        issuer=ISSUER, name="Example", client_id=CLIENT, client_secret=SECRET, admits=IdentityProvider.Admits.EVERYBODY
    )


@pytest.fixture
def fake_provider(monkeypatch):
    """The provider behind ISSUER. The test has its own caches."""
    fake = FakeProvider()
    monkeypatch.setattr("clusters.registry.transport.RegistryTransport", lambda: fake)
    discoveries.forget()
    known_keys.forget()
    yield fake
    discoveries.forget()
    known_keys.forget()
