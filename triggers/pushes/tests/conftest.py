import pytest
from django.test import Client

from clusters.models import Registry
from triggers.payloads import senders
from triggers.payloads.tests.small_senders import SENDERS
from triggers.pushes.tests.messages import HOST


@pytest.fixture
def small_senders(published, monkeypatch):
    """Messages are those of small_senders, and calls are not published."""
    monkeypatch.setattr(senders, "SENDERS", SENDERS)


@pytest.fixture
def client():
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def registry():
    return Registry.objects.create(host=HOST, aliases="internal:5000")
