"""Runs an identity provider: allauth's `idp.oidc` in a Django of its own, in another process.

`python -m tests.harness.identity_provider PORT REDIRECT_URI` is that process.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, start_process, stop_process

CLIENT_ID, CLIENT_SECRET = "windlass-of-the-tests", "the secret of the client"
SCOPES = ("openid", "profile", "email", "groups")
PASSWORD = "a password at the provider"  # noqa: S105


@dataclass
class IdentityProvider:
    """A running provider. `groups` are those of each person; `set_groups` changes them for the next sign-in."""

    folder: Path
    redirect_uri: str
    groups: dict[str, list[str]]
    port: int
    process: "Popen[bytes] | None" = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set_groups(self, person: str, *groups: str) -> None:
        self.groups[person] = list(groups)
        people = {name: {"password": PASSWORD, "groups": each} for name, each in self.groups.items()}
        (self.folder / "people.json").write_text(json.dumps({"people": people}))

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.harness.identity_provider", str(self.port), self.redirect_uri]
        variables = {"IDENTITY_FOLDER": str(self.folder), "DJANGO_SETTINGS_MODULE": "tests.harness.identity_settings"}
        self.process = start_process(command, self.folder / "identity.log", variables)
        eventually(self._is_up, within=60, what="the identity provider answers")

    def stop(self) -> None:
        if self.process:
            stop_process(self.process)
            self.process = None

    def _is_up(self) -> bool:
        import requests

        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.issuer}/.well-known/openid-configuration", timeout=2).ok
        return False


@contextlib.contextmanager
def run_identity_provider(folder: Path, redirect_uri: str, groups: dict[str, list[str]]) -> Iterator[IdentityProvider]:
    """Run a provider with these people, all with PASSWORD, and with one client whose answers go to `redirect_uri`."""
    key = rsa.generate_private_key(65537, 2048)
    no_password = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
    (folder / "key.pem").write_bytes(pem)
    provider = IdentityProvider(folder, redirect_uri, groups, find_free_port())
    for name, each in list(groups.items()):
        provider.set_groups(name, *each)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def serve(port: int, redirect_uri: str) -> None:
    """Prepare the database and serve until the process ends."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", verbosity=0)
    fill(redirect_uri)
    server = ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)
    application: Any = get_wsgi_application()
    server.set_app(application)
    server.serve_forever()


def fill(redirect_uri: str) -> None:
    from allauth.account.models import EmailAddress
    from allauth.idp.oidc.models import Client
    from django.contrib.auth.models import User

    from tests.harness.identity_settings import read_people

    for name, person in read_people().items():
        if not User.objects.filter(username=name).exists():
            user = User.objects.create_user(name, f"{name}@example.com", person["password"])
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    if not Client.objects.exists():
        client = Client(id=CLIENT_ID, name="Windlass", skip_consent=True, redirect_uris=redirect_uri, scopes="\n".join(SCOPES))
        client.set_secret(CLIENT_SECRET)
        client.save()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.harness.identity_settings")
    serve(int(sys.argv[1]), sys.argv[2])
