import pytest
from django.test import Client


@pytest.fixture(autouse=True)
def _no_broker(published):
    pass


@pytest.fixture
def client():
    return Client(enforce_csrf_checks=True)
