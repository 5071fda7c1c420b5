import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.test import Client

from clusters.encryption import encrypt_text
from clusters.models import AuditEntry
from console.factors.codes import APP
from console.factors.tests.device import Device, compute_code, store_passkey
from console.identity.tests.conftest import fake_provider as fake_provider
from console.identity.tests.conftest import provider_row as provider_row
from console.pages.tests.reading import text_of
from console.pages.users.tests.conftest import PASSWORD
from console.pages.users.tests.conftest import administrator as administrator
from console.pages.users.tests.conftest import bob as bob
from console.pages.users.tests.conftest import reader as reader


@pytest.fixture
def arrive(client, fake_provider):
    """Press the button at `path`, sign in at the provider, and return the console's answer to its redirect."""

    def arrive(path, using=client, answer=None, **form):
        way = using.post(path, form)
        assert way.status_code == 200, way.content.decode()
        given = fake_provider.visit(way.context["way"])
        return using.get("/login/callback/", {**given, **(answer or {})})

    return arrive


class App:
    """An authenticator app that a user has set up a while ago."""

    def __init__(self, user):
        self.secret = generate_totp_secret()
        data = {"secret": encrypt_text(self.secret), "counter": 0}
        self.row = Authenticator.objects.create(user=user, type=APP, data=data)

    def code(self):
        """Return a code that was not used yet."""
        self.row.refresh_from_db()
        self.row.data["counter"] = 0
        self.row.save()
        return compute_code(self.secret)


@pytest.fixture
def app(administrator):
    return App(administrator)


@pytest.fixture
def device(administrator):
    """What holds ada's passkey."""
    device = Device()
    store_passkey(administrator, device=device)
    return device


def enter_password(name="ada", client=None, **more):
    """Return a client that has passed the first step of a sign-in."""
    client = client or Client()
    client.post("/login/", {"username": name, "password": PASSWORD, **more})
    return client


def is_signed_in(client):
    return client.get("/account/second-factor/").status_code == 200


def read_passkey_form(response):
    """Return the options and the token of a page's passkey form."""
    import html
    import json

    options = re.search(r'data-options="([^"]+)"', text_of(response))
    token = re.search(r'name="token" value="([^"]+)"', text_of(response))
    return json.loads(html.unescape(options[1])), token[1]


def answer_form(client, path, device, **fields):
    """Answer the passkey form of a page as a browser does."""
    options, token = read_passkey_form(client.get(path))
    return client.post(path, {"token": token, "answer": device.use(options), **fields})


def grow_old(client):
    """Make the client's sign-in older than what changes of factors require."""
    session = client.session
    session["confirmed_at"] -= 301
    session.save()


def last_entry():
    return AuditEntry.objects.order_by("-pk").first()
