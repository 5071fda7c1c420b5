import pytest

from console.identity.providers import ENVIRONMENT, find_provider, list_providers
from console.identity.tests.fake_provider import CLIENT, ISSUER, SECRET
from console.models import IdentityProvider

pytestmark = pytest.mark.django_db


@pytest.fixture
def environment(settings):
    names = {"name": "Company", "scopes": "openid", "groups_claim": "groups", "admits": "known"}
    settings.OIDC = {"issuer": ISSUER, "client_id": CLIENT, "given_secret": SECRET, **names}


def test_without_any_there_is_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert list_providers() == []


def test_secrets_are_read_at_their_use(provider_row, django_assert_num_queries):
    with django_assert_num_queries(1) as queries:
        provider = find_provider(str(provider_row.pk))
    assert "client_secret" not in queries[0]["sql"]
    assert provider.read_secret() == SECRET
    assert SECRET not in repr(provider)


def test_a_provider_that_was_deleted_meanwhile_has_no_secret(provider_row):
    provider = find_provider(str(provider_row.pk))
    provider_row.delete()
    assert provider.read_secret() == ""


def test_the_environments_provider_comes_first_and_hides_an_equal_one(environment, provider_row):
    IdentityProvider.objects.create(issuer="https://two.test", name="Another", client_id="x")
    assert [provider.name for provider in list_providers()] == ["Company", "Another"]
    own = find_provider(ENVIRONMENT)
    assert own.read_secret() == SECRET
    assert SECRET not in repr(own)
    assert find_provider(str(provider_row.pk)) is None
