import pytest
from django.test import Client

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user

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
