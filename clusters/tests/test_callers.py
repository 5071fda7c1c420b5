import pytest
from django.test import RequestFactory

from clusters.callers import client_address


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
