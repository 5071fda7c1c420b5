"""What the settings make of the environment."""

import runpy

import pytest
from django.conf import settings

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
