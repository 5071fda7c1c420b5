import pytest
from django.test import Client

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user
from console.identity.tests.conftest import fake_provider as fake_provider
from console.identity.tests.conftest import provider_row as provider_row

PASSWORD = "correct horse battery"


@pytest.fixture
def administrator(db):
    return make_user("ada", Role.ADMINISTRATOR, password=PASSWORD)


@pytest.fixture
def reader(administrator):
    client = Client()
    client.force_login(administrator)
    AuditEntry.objects.all().delete()
    return client


@pytest.fixture
def bob(db):
    return make_user("bob", Role.VIEWER, password=PASSWORD)


@pytest.fixture
def arrive(client, fake_provider):
    """Press the button at `path`, sign in at the provider, and return the console's answer to its redirect."""

    def arrive(path, using=client, answer=None, **form):
        way = using.post(path, form)
        assert way.status_code == 200, way.content.decode()
        given = fake_provider.visit(way.context["way"])
        return using.get("/login/callback/", {**given, **(answer or {})})

    return arrive
