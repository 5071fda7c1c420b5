"""Sign-ins, failed sign-ins and sign-outs in the audit log."""

import pytest
from django.test import Client

from clusters.models import AuditEntry
from console.pages.users.tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def test_signing_in_and_out_and_failing_are_recorded_with_the_address(bob):
    client = Client(REMOTE_ADDR="203.0.113.9")
    client.post("/login/", {"username": "bob", "password": "wrong"})
    client.post("/login/", {"username": "nobody", "password": PASSWORD})
    client.post("/login/", {"username": "bob", "password": PASSWORD})
    client.post("/logout/")
    entries = list(AuditEntry.objects.order_by("pk"))
    assert [(entry.action, entry.actor, entry.address) for entry in entries] == [
        ("sign_in.fail", "bob", "203.0.113.9"),
        ("sign_in.fail", "nobody", "203.0.113.9"),
        ("sign_in", "bob", "203.0.113.9"),
        ("sign_out", "bob", "203.0.113.9"),
    ]
    assert not any(PASSWORD in str(vars(entry)) or "wrong" in str(vars(entry)) for entry in entries)
