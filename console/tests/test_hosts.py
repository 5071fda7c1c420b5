"""Which hosts are served, and what a request for another one gets and costs."""

import runpy
from ipaddress import ip_address
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client

from console import hosts
from console.checks import check_allowed_hosts
from console.telemetry.tests.test_log_lines import lines_of, read
from triggers.tests.calling import link_parameters
from triggers.tests.factories import TriggerFactory

SETTINGS = Path(django_settings.BASE_DIR) / "console" / "settings.py"
GLOBAL = "93.184.215.14"  # an address of the internet that this machine does not have


def chosen_by(monkeypatch, tmp_path, **environment):
    monkeypatch.setenv("WINDLASS_DATA_DIR", str(tmp_path / "data"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("socket.gethostname", lambda: "Harbour")
    return runpy.run_path(str(SETTINGS))["CHOSEN_HOSTS"]


class TestSettings:
    @pytest.mark.parametrize(
        ("environment", "served"),
        [
            ({}, ["localhost", "127.0.0.1", "[::1]", "app.localhost", "harbour"]),
            ({"WINDLASS_PUBLIC_URL": "https://Windlass.example.com:8443"}, ["windlass.example.com", "localhost", "harbour"]),
            ({"WINDLASS_PUBLIC_URL": "http://[2606:2800:21f::1]:8000"}, ["[2606:2800:21f::1]"]),
            ({"WINDLASS_HOST": "console.lan"}, ["console.lan", "localhost"]),
            ({"WINDLASS_ALLOWED_HOSTS": "windlass, .example.com"}, ["windlass", "example.com", "a.example.com", "127.0.0.1"]),
            ({"WINDLASS_ALLOWED_HOSTS": "2606:2800:21f::1,Web."}, ["[2606:2800:21f::1]", "web"]),
            ({"WINDLASS_ALLOWED_HOSTS": "*"}, ["evil.example", GLOBAL]),
        ],
    )
    def test_what_operators_name_is_served(self, environment, served, monkeypatch, tmp_path, settings):
        settings.CHOSEN_HOSTS = chosen_by(monkeypatch, tmp_path, **environment)
        assert [host for host in served if not hosts.is_chosen(host)] == []

    @pytest.mark.parametrize(
        "environment", [{}, {"WINDLASS_PUBLIC_URL": "https://windlass.example.com"}, {"WINDLASS_ALLOWED_HOSTS": "windlass"}]
    )
    def test_nothing_else_is(self, environment, monkeypatch, tmp_path, settings):
        settings.CHOSEN_HOSTS = chosen_by(monkeypatch, tmp_path, **environment)
        others = [
            "evil.example",
            "windlass.example.com.evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "2130706433",
        ]
        assert [host for host in [*others, GLOBAL, "[2606:2800:21f::1]", ""] if hosts.is_chosen(host)] == []

    def test_any_host_is_warned_of(self, settings):
        assert check_allowed_hosts() == []
        settings.CHOSEN_HOSTS = ["*", "localhost"]
        (warning,) = check_allowed_hosts()
        assert (warning.id, "WINDLASS_ALLOWED_HOSTS" in warning.msg) == ("windlass.W002", True)


class TestAddresses:
    @pytest.mark.parametrize(
        "host", ["192.168.1.5", "10.0.0.1", "172.17.0.2", "100.64.0.1", "169.254.1.1", "127.0.0.2", "[fd00::2]", "[fe80::1]"]
    )
    def test_private_addresses_are_served_whoever_has_them(self, host):
        """A browser that names one has connected to it: by a published port, say, whose address the container does not know."""
        assert hosts.is_chosen(host)

    @pytest.mark.parametrize("host", [GLOBAL, "[2606:2800:21f::1]", f"[::ffff:{GLOBAL}]"])
    def test_an_address_of_the_internet_is_served_where_it_is_this_machines(self, host, monkeypatch):
        assert not hosts.is_chosen(host)
        monkeypatch.setattr(hosts, "is_own_address", lambda address: True)
        assert hosts.is_chosen(host)

    def test_the_kernel_knows_this_machines_addresses(self):
        assert hosts.is_own_address(ip_address("127.0.0.1"))
        assert not hosts.is_own_address(ip_address(GLOBAL))
        assert not hosts.is_own_address(ip_address("2606:2800:21f::1"))


class TestRefusal:
    """No test here uses the database: a refusal that did would fail."""

    PATHS = [
        "/",
        "/login/",
        "/hook/trigger?triggerUrl=x&secret=y",
        "/hook/registry/x",
        "/api/v1/triggers/",
        "/admin/",
        "/metrics",
    ]

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", f"{GLOBAL}:8000", "a,b", "", "x" * 300, "<b>"])
    def test_it_says_what_to_set(self, path, host):
        response = Client(raise_request_exception=True).get(path, headers={"host": host, "X-Forwarded-Host": "localhost"})
        text = response.content.decode()
        assert response.status_code == 400
        assert "Set-Cookie" not in response
        assert "<b>" not in text
        if host.startswith(("evil", GLOBAL)):
            assert "WINDLASS_ALLOWED_HOSTS" in text
            assert "WINDLASS_PUBLIC_URL" in text

    def test_links_and_the_api_are_answered_in_json_and_browsers_with_a_page(self):
        client = Client(headers={"host": "evil.example"})
        link = client.post("/hook/trigger").json()
        assert (link["code"], link["requestId"], "evil.example" in link["message"]) == ("400", None, True)
        assert "evil.example" in client.get("/api/v1/triggers/").json()["detail"]
        page = client.get("/", headers={"accept": "text/html"}).content.decode()
        assert "<h1>Unknown host</h1>" in page
        assert 'href="/"' not in page

    def test_one_line_a_minute_is_logged_and_no_stack_trace(self, monkeypatch):
        moments = iter([1000.0, 1001.0, 1059.0, 1061.0])
        monkeypatch.setattr("console.hosts.time.monotonic", lambda: next(moments))
        client = Client(headers={"host": "evil.example"})
        with lines_of() as stream:
            for _ in range(4):
                client.get("/")
        lines = read(stream)
        refused = [(line["host"], line["more"]) for line in lines if line["event"] == "host refused"]
        assert refused == [("evil.example", 0), ("evil.example", 2)]
        assert {line["event"] for line in lines} == {"host refused", "request"}

    def test_a_probe_can_use_any_name(self):
        assert Client(headers={"host": "pod-7.cluster"}).get("/healthz").status_code == 200


@pytest.mark.django_db
class TestLinks:
    def test_a_status_url_follows_no_host_that_nobody_chose(self, client, published):
        query = link_parameters(TriggerFactory())
        assert client.get("/hook/trigger", query, headers={"host": "evil.example"}).status_code == 400
        body = client.get("/hook/trigger", query, headers={"host": "192.168.1.5:8000"}).json()
        assert body["statusUrl"].startswith("http://192.168.1.5:8000/hook/calls/")

    def test_with_a_public_url_every_link_begins_with_it(self, client, published, settings):
        settings.PUBLIC_URL = "https://windlass.example.com"
        body = client.get("/hook/trigger", link_parameters(TriggerFactory()), headers={"host": "192.168.1.5:8000"}).json()
        assert body["statusUrl"].startswith("https://windlass.example.com/hook/calls/")
