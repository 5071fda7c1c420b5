"""What the settings make of the environment."""

import runpy

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_resolver

SETTINGS = settings.BASE_DIR / "console" / "settings.py"


@pytest.fixture
def read_settings(monkeypatch, tmp_path):
    def read(**environment):
        monkeypatch.setenv("WINDLASS_DATA_DIR", str(tmp_path))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(SETTINGS))

    return read


def test_a_database_that_no_longer_exists_frees_its_connections_within_half_a_minute(read_settings):
    options = read_settings(DATABASE_URL="postgres://windlass@db.example.com/windlass")["DATABASES"]["default"]["OPTIONS"]
    silent = options["keepalives_idle"] + options["keepalives_count"] * options["keepalives_interval"]
    assert max(silent, options["tcp_user_timeout"] / 1000, options["connect_timeout"]) <= 30


def test_the_database_url_can_say_otherwise(read_settings):
    url = "postgres://windlass@db.example.com/windlass?keepalives_idle=60&sslmode=verify-full"
    options = read_settings(DATABASE_URL=url)["DATABASES"]["default"]["OPTIONS"]
    assert (options["keepalives_idle"], options["sslmode"], options["pool"]["timeout"]) == (60, "verify-full", 5)


class TestLocalLogin:
    @pytest.mark.parametrize(("written", "read"), [("", "everybody"), ("superusers", "superusers"), ("NOBODY", "nobody")])
    def test_who_signs_in_with_a_password_is_chosen(self, read_settings, written, read):
        assert read_settings(WINDLASS_LOCAL_LOGIN=written)["LOCAL_LOGIN"] == read

    def test_another_word_is_refused(self, read_settings):
        with pytest.raises(ImproperlyConfigured, match="WINDLASS_LOCAL_LOGIN is 'admins'. It must be one of EVERYBODY"):
            read_settings(WINDLASS_LOCAL_LOGIN="admins")


class TestPrefix:
    def test_everything_is_below_the_path_of_the_public_address(self, read_settings):
        read = read_settings(WINDLASS_PUBLIC_URL="https://example.com/tools/windlass/")
        assert (read["PREFIX"], read["FORCE_SCRIPT_NAME"]) == ("/tools/windlass", "/tools/windlass")
        assert read["STATIC_URL"] == "/tools/windlass/static/"
        assert read["CSRF_TRUSTED_ORIGINS"] == ["https://example.com"]
        assert read["SPECTACULAR_SETTINGS"]["SERVERS"] == [{"url": "/tools/windlass"}]
        assert read["SESSION_COOKIE_NAME"] == "__Host-tools~windlass-sessionid"

    def test_without_a_path_nothing_is_different(self, read_settings):
        read = read_settings(WINDLASS_PUBLIC_URL="https://example.com:8443/")
        assert (read["PREFIX"], read["FORCE_SCRIPT_NAME"], read["STATIC_URL"]) == ("", None, "/static/")
        assert read["CSRF_TRUSTED_ORIGINS"] == ["https://example.com:8443"]

    def test_the_consoles_own_paths_are_known(self):
        routes = {str(pattern.pattern).partition("/")[0] for pattern in get_resolver().url_patterns}
        assert routes - {""} | {"static"} == set(settings.OWN_PATHS)

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("https://example.com/hook", "begins with hook, which the console uses itself"),
            ("https://example.com/applications/windlass", "begins with applications"),
            ("https://example.com/a b", "can have letters"),
            ("https://example.com//windlass", "can have letters"),
            ("https://example.com/../windlass", "can have letters"),
            ("https://example.com/windlass?x=1", "must be a scheme, a host"),
            ("https://example.com#x", "must be a scheme, a host"),
            ("https://me:secret@example.com", "must be a scheme, a host"),
        ],
    )
    def test_a_path_that_cannot_work_stops_the_start(self, read_settings, url, reason):
        with pytest.raises(ImproperlyConfigured, match=reason) as refusal:
            read_settings(WINDLASS_PUBLIC_URL=url)
        assert "secret" not in str(refusal.value)
