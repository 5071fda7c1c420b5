import pytest

from clusters.engine.connection.endpoint import EngineEndpoint


@pytest.mark.parametrize(
    ("url", "is_plain"),
    [
        ("tcp://host:2375", True),
        ("TCP://host:2375", True),
        ("t\ncp://127.0.0.1:2375", True),
        ("tcp://[::1", True),
        ("unix:///run/docker.sock", False),
        ("ssh://me@host", False),
    ],
)
def test_tcp_without_certificates_is_plain(url, is_plain):
    assert EngineEndpoint(url).is_plain is is_plain


@pytest.mark.parametrize("certificates", [{"ca": "CA"}, {"cert": "C", "key": "K"}])
def test_either_certificate_means_tls(certificates):
    assert not EngineEndpoint("tcp://host:2376", **certificates).is_plain
