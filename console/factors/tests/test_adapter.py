import os
import subprocess
import sys

import pytest
from allauth.core import context
from django.contrib.auth.models import User

from console.factors.adapter import FactorAdapter, own_host


def test_what_is_encrypted_can_be_read_back():
    adapter = FactorAdapter()
    assert adapter.encrypt("a secret").startswith("gAAAA")
    assert adapter.decrypt(adapter.encrypt("a secret")) == "a secret"


@pytest.mark.parametrize(
    ("public_host", "host", "expected"),
    [
        ("console.example.com", "10.0.0.7:8000", "console.example.com"),
        ("", "localhost:8000", "localhost"),
        ("", "[::1]:8000", "::1"),
    ],
)
def test_passkeys_belong_to_the_public_address(rf, settings, public_host, host, expected):
    settings.PUBLIC_HOST = public_host
    assert own_host(rf.get("/", headers={"Host": host})) == expected


def test_an_app_shows_the_console_and_the_user(rf, settings):
    settings.PUBLIC_HOST = "console.example.com"
    with context.request_context(rf.get("/")):
        address = FactorAdapter().build_totp_url(User(username="ada:x", email="ada@example.com"), "ABC")
    assert address == "otpauth://totp/ada%3Ax?secret=ABC&issuer=Windlass%20console.example.com"


def test_a_process_that_checks_no_factor_does_not_load_what_it_takes():
    ask = "import sys, django; django.setup(); import console.urls; print([*{'fido2', 'qrcode'} & {*sys.modules}])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, env=os.environ)  # noqa: S603
    assert done.stdout.strip() == "[]"
