"""The TLS parameters of BROKER_URL. tests/integration/test_broker_tls.py shows what they do."""

import ssl
from urllib.parse import quote

import pytest
from django.core.exceptions import ImproperlyConfigured

from console.broker_tls import split_tls


@pytest.fixture
def ca(tmp_path):
    (tmp_path / "a b.pem").touch()
    return str(tmp_path / "a b.pem")


@pytest.mark.parametrize("url", ["redis://h/0?ssl_cert_reqs=none", "amqp://h//", "filesystem://"])
def test_without_tls_nothing_is_changed(url):
    assert split_tls(url) == (url, None)


@pytest.mark.parametrize("written", ["none", "None", "CERT_NONE"])
def test_the_parameters_are_taken_out_of_the_address(written, ca):
    url, options = split_tls(f"rediss://:p%40ss@h:1/0?x=1&ssl_cert_reqs={written}&ssl_ca_certs={quote(ca)}")
    assert url == "rediss://:p%40ss@h:1/0?x=1"
    assert options == {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False, "ssl_ca_certs": ca}


def test_rabbitmq_has_names_of_its_own(ca):
    assert split_tls(f"amqps://h//?ssl_ca_certs={quote(ca)}&ssl_keyfile={quote(ca)}") == (
        "amqps://h//",
        {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": ca, "keyfile": ca, "server_hostname": "h"},
    )


def test_several_addresses_share_the_parameters(ca):
    url, options = split_tls(f"rediss://a/0?ssl_ca_certs={quote(ca)};rediss://b/0")
    assert (url, options["ssl_ca_certs"]) == ("rediss://a/0;rediss://b/0", ca)


def test_a_file_that_is_missing_stops_the_start():
    with pytest.raises(ImproperlyConfigured, match="ssl_ca_certs of BROKER_URL is '/nonexistent'"):
        split_tls("rediss://h/0?ssl_ca_certs=/nonexistent")


@pytest.mark.parametrize("wrong", ["ssl_cert_reqs=maybe", "ssl_check_hostname=2", "ssl_version=3"])
def test_an_unknown_parameter_stops_the_start_without_the_password(wrong):
    with pytest.raises(ImproperlyConfigured, match="TLS parameter") as refusal:
        split_tls(f"rediss://:secret@h/0?{wrong}")
    assert "secret" not in str(refusal.value)
