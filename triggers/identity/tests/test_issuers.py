"""The keys of a real issuer on the loopback, and the addresses that are never asked."""

import socket
import threading

import pytest

from triggers.identity import issuers
from triggers.identity.issuers import ISSUER_LENGTH, ForbiddenAddress, IssuerFailed, check_peer, explain_bad_issuer, fetch_keys
from triggers.identity.tests.issuing import serve_issuer


@pytest.fixture
def issuer():
    with serve_issuer() as served:
        yield served


@pytest.mark.parametrize(
    "address",
    [
        "https://gitlab.com",
        "https://codeberg.org/api/actions",
        "https://git.example.com:8443/x/_services/token",
        "http://127.0.0.1:8080",
        "http://localhost/",
        "http://[::1]:8080",
    ],
)
def test_an_issuer(address):
    assert explain_bad_issuer(address) == ""


@pytest.mark.parametrize(
    "address",
    [
        "",
        "gitlab.com",
        "ftp://gitlab.com",
        "file:///etc/passwd",
        "https://",
        "https://user:word@gitlab.com",
        "https://gitlab.com?a=b",
        "https://gitlab.com#a",
        "https://gitlab.com/a b",
        "https://gitlab.com/\n",
        "https://[::1",
        "https://a:99999",
        "http://gitlab.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "https://169.254.169.254",
        "http://169.254.169.254/latest",
        "https://[fe80::1]",
        "https://[::ffff:169.254.169.254]",
        "https://0.0.0.0",
        f"https://{'a' * ISSUER_LENGTH}.com",
    ],
)
def test_what_is_no_issuer(address):
    assert explain_bad_issuer(address).endswith(".")
    with pytest.raises(IssuerFailed):
        fetch_keys(address)


def test_keys_of_an_issuer(issuer):
    keys = fetch_keys(issuer.address)
    assert {key_id: key.algorithm for key_id, key in keys.items()} == {"rsa-1": "RS256", "ec-1": "ES256"}
    assert issuer.asked == 2


def test_an_issuer_that_claims_to_be_another_one(issuer):
    issuer.claimed = "https://token.actions.githubusercontent.com"
    with pytest.raises(IssuerFailed, match="another issuer"):
        fetch_keys(issuer.address)


@pytest.mark.parametrize(
    "elsewhere", ["http://169.254.169.254/keys", "https://example.com/keys", "http://127.0.0.1:1/keys", 7, ""]
)
def test_keys_at_another_host_are_not_asked(issuer, monkeypatch, elsewhere):
    monkeypatch.setattr(issuer, "answer", lambda path: (200, {"issuer": issuer.address, "jwks_uri": elsewhere}))
    with pytest.raises(IssuerFailed, match="own host"):
        fetch_keys(issuer.address)


@pytest.mark.parametrize("answer", [(200, []), (200, "x"), (500, {}), (404, {}), (302, {})], ids=str)
def test_answers_that_are_no_documents(issuer, monkeypatch, answer):
    monkeypatch.setattr(issuer, "answer", lambda path: answer)
    with pytest.raises(IssuerFailed):
        fetch_keys(issuer.address)


def test_an_endless_document_is_cut_off(issuer, monkeypatch):
    monkeypatch.setattr(issuer, "answer", lambda path: (200, {"issuer": "x" * issuers.BODY_LIMIT}))
    with pytest.raises(IssuerFailed):
        fetch_keys(issuer.address)


def test_an_issuer_that_hangs_or_is_away(issuer, monkeypatch):
    monkeypatch.setattr(issuers, "SECONDS", 0.2)
    issuer.answers.clear()
    with pytest.raises(IssuerFailed, match="in time"):
        fetch_keys(issuer.address)
    with pytest.raises(IssuerFailed, match="reached"):
        fetch_keys("http://127.0.0.1:1")


def test_a_redirect_is_not_followed(issuer):
    def redirect(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(
                f"HTTP/1.1 302 Found\r\nLocation: {issuer.address}/.well-known/openid-configuration\r\n"
                "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=redirect, args=(listener,))
        thread.start()
        with pytest.raises(IssuerFailed, match="302"):
            fetch_keys(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert issuer.asked == 0


class Connected:
    """A connection to an address, for what cannot be connected to in a test."""

    def __init__(self, address):
        self.address, self.is_closed = address, False

    def getpeername(self):
        return (self.address, 443)

    def close(self):
        self.is_closed = True


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.0.1", "224.0.0.1", "", "?"])
def test_a_name_that_leads_to_a_forbidden_address(address):
    connected = Connected(address)
    with pytest.raises(ForbiddenAddress):
        check_peer(connected, loopback_only=False)
    assert connected.is_closed


def test_without_tls_a_name_has_to_lead_to_the_loopback():
    check_peer(Connected("127.0.0.1"), loopback_only=True)
    check_peer(Connected("10.0.0.1"), loopback_only=False)
    with pytest.raises(ForbiddenAddress):
        check_peer(Connected("10.0.0.1"), loopback_only=True)
