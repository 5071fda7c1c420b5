import pytest
from django.test import RequestFactory

from clusters.callers import client_address, normalize_address


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("10.0.0.5", "", "10.0.0.5"),
        ("192.0.2.9", "198.51.100.1", "192.0.2.9"),  # not a trusted proxy
        ("10.0.0.5", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.5", "203.0.113.7, 198.51.100.1", "198.51.100.1"),  # anyone can have written what is further left
        ("10.0.0.5", "203.0.113.7, 10.0.0.8", "203.0.113.7"),
        ("10.0.0.5", "<script>", None),
        ("", "", None),
    ],
)
def test_only_a_trusted_proxy_can_name_the_caller(settings, remote, forwarded, address):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    request = RequestFactory().get("/", REMOTE_ADDR=remote, headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == address


FORMS = {
    "198.51.100.1": ["198.51.100.1", " 198.51.100.1\t", "198.51.100.1:4711", '"198.51.100.1:4711"', "::ffff:198.51.100.1"],
    "2001:db8::1": ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443", '"[2001:DB8:0:0::1]:443"', "2001:db8::1%eth0"],
    "fe80::1": ["fe80::1%eth0", "[fe80::1%25eth0]:80", "[fe80::1%2]"],
    "192.0.2.4": ["::ffff:c000:204", "[::ffff:192.0.2.4]:8080"],
    "": [
        "",
        "unknown",
        "_hidden",
        "198.51.100.1:x",
        "198.51.100.1:",
        "[2001:db8::1",
        "[2001:db8::1]x",
        "[]",
        "1.2.3",
        "a" * 500,
    ],
}


@pytest.mark.parametrize(("text", "address"), [(text, address) for address, texts in FORMS.items() for text in texts])
def test_an_address_is_the_same_in_every_form_that_proxies_write(settings, text, address):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert normalize_address(text) == address
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.5", headers={"X-Forwarded-For": text})
    assert client_address(request) == (address or (None if text.strip() else "10.0.0.5"))
    if address:
        assert client_address(RequestFactory().get("/", REMOTE_ADDR=text)) == address


@pytest.mark.parametrize("proxy", ["10.0.0.8:52000", "::ffff:10.0.0.8", "[::ffff:10.0.0.8]:52000"])
def test_a_trusted_proxy_is_known_in_every_form(settings, proxy):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    request = RequestFactory().get("/", REMOTE_ADDR=proxy, headers={"X-Forwarded-For": f"203.0.113.7:99, {proxy}"})
    assert client_address(request) == "203.0.113.7"
