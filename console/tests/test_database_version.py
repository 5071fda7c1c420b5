"""The version is in one place, and a database that is too new for it says so."""

import sys
import tomllib

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

import manage
from console import database_version
from console.models import DatabaseVersion
from console.process.preparation import PreparationError, migrate_database
from console.telemetry import readiness, totals
from console.version import SUITS, VERSION, order

TOO_NEW = (
    f"The database is from a newer version, 9.1.0, and suits versions from 9.0.0 on. This is {VERSION}. Start one of those, or "
    "restore the backup from before the upgrade."
)


@pytest.fixture(autouse=True)
def settings_of_the_connection(monkeypatch):
    """The preparation takes the pool out of them, which other tests of the process need."""
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", dict(connection.settings_dict["OPTIONS"]))


def store(version, suits):
    DatabaseVersion.objects.update_or_create(pk=1, defaults={"version": version, "suits": suits})


@pytest.fixture
def newer(db):
    store("9.1.0", "9.0.0")


def test_the_version_is_that_of_the_project(monkeypatch, capsys):
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    assert order(SUITS) <= order(VERSION)
    monkeypatch.setattr(sys, "argv", ["manage.py", "--version"])
    manage.main()
    assert capsys.readouterr().out == f"Windlass {VERSION}\n"


def test_versions_are_ordered_by_numbers():
    assert order("0.10.0") > order("0.9.9")


def test_no_start_with_a_database_that_is_too_new(newer):
    with pytest.raises(PreparationError) as refused_start:
        migrate_database()
    with pytest.raises(CommandError) as refused_migration:
        call_command("migrate", verbosity=0)
    assert str(refused_start.value) == str(refused_migration.value) == TOO_NEW


def test_processes_that_run_with_it_report_it(newer, caplog):
    assert readiness.check_migrations() == TOO_NEW
    totals.report_misfit()
    assert "the database is too new" in caplog.text


@pytest.mark.django_db
def test_one_version_back_works_and_leaves_the_record_alone():
    store("9.1.0", VERSION)
    call_command("migrate", verbosity=0)
    assert database_version.explain_misfit() == ""
    assert readiness.check_migrations() == "ok"
    assert DatabaseVersion.objects.get().version == "9.1.0"


@pytest.mark.django_db
def test_a_migration_records_its_version():
    store("0.0.1", "0.0.1")
    call_command("migrate", verbosity=0)
    row = DatabaseVersion.objects.get()
    assert (row.version, row.suits) == (VERSION, SUITS)
    DatabaseVersion.objects.all().delete()
    call_command("migrate", verbosity=0)
    assert DatabaseVersion.objects.get().version == VERSION


@pytest.mark.django_db(transaction=True)
def test_a_database_from_before_the_record_is_no_misfit():
    with connection.schema_editor() as editor:
        editor.delete_model(DatabaseVersion)
    try:
        assert database_version.explain_misfit() == ""
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(DatabaseVersion)
