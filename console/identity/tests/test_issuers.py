import pytest

from console.identity.issuers import explain_issuer, is_protected


@pytest.mark.parametrize(
    "issuer",
    [
        "https://id.example.com",
        "https://id.example.com/realms/main/",
        "http://127.0.0.1:9000/x",
        "http://[::1]:9000",
        "http://localhost:9000",
    ],
)
def test_an_issuer_that_can_be_used(issuer):
    assert explain_issuer(issuer) == ""


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "id.example.com",
        "ftp://id.example.com",
        "http://id.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "https://user:password@id.example.com",
        "https://id.example.com/?realm=1",
        "https://id.example.com/#main",
        "https://id.example.com/a b",
        "https://id.example.com:0",
        "https://id.example.com:99999999",
        "https://[broken",
        "https://id.example.com/.well-known/openid-configuration",
        "https://id.example.com/" + "x" * 200,
    ],
)
def test_an_issuer_that_is_refused_with_a_sentence(issuer):
    assert explain_issuer(issuer).endswith(".")


def test_only_this_machine_can_do_without_tls():
    assert is_protected("http://127.8.8.8/")
    assert not is_protected("http://192.168.0.1/")
    assert not is_protected("https:///path")
