"""The production files say what the code knows: settings and commands exist, and no container may do more than it needs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

SOURCES = [settings.BASE_DIR / "console" / name for name in ("settings.py", "process/preparation.py")]
# Of others: the database's image, Python, glibc, the Docker SDK's own.
FOREIGN = {"POSTGRES_PASSWORD", "PATH", "MALLOC_ARENA_MAX"}
PARTS = ("web", "worker", "watch", "migrate")
SOCKET = "/var/run/docker.sock:/var/run/docker.sock"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((settings.BASE_DIR / "compose.yaml").read_text())


def read_dockerfile() -> str:
    return re.sub(r"\\\n\s*", "", (settings.BASE_DIR / "Dockerfile").read_text())


def known_settings() -> set[str]:
    text = "".join(Path(source).read_text() for source in SOURCES)
    return set(re.findall(r'env\.read_\w+\(\s*"(\w+)"', text))


def test_every_variable_in_the_compose_file_and_the_image_is_one_that_the_settings_read(compose):
    named = {name for service in compose["services"].values() for name in service.get("environment", {})}
    named |= set(re.findall(r"(\w+)=", next(line for line in read_dockerfile().splitlines() if line.startswith("ENV "))))
    named = {name.removesuffix("_FILE") for name in named if not name.startswith("PYTHON")}
    assert named - FOREIGN <= known_settings()


def test_every_variable_is_documented_for_operators():
    told = (settings.BASE_DIR / "docs" / "operate.md").read_text()
    assert [name for name in sorted(known_settings()) if f"`{name}`" not in told] == []


def test_the_image_holds_the_documents_that_the_help_shows():
    assert "COPY docs /app/docs" in read_dockerfile().splitlines()
    assert "!docs" in (settings.BASE_DIR / ".dockerignore").read_text().splitlines()
    assert settings.DOCUMENTS == settings.BASE_DIR / "docs"


def test_the_parts_run_commands_that_exist(compose):
    commands = {service: compose["services"][service]["command"] for service in PARTS}
    commands["image"] = re.findall(r'^CMD \["(\w+)"\]$', read_dockerfile(), re.MULTILINE)
    assert {command[0] for command in commands.values()} <= get_commands().keys()


def test_no_container_has_more_rights_than_it_needs(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["labels"] == {"windlass.protected": "true"}, name
        assert not service.get("privileged"), name
    with_socket = {name for name, service in compose["services"].items() if SOCKET in service.get("volumes", [])}
    assert with_socket == {"web", "worker", "watch"}
    published = {name for name, service in compose["services"].items() if "ports" in service}
    assert published == {"web"}
    assert all(compose["services"][name]["networks"] == ["inside"] for name in ("postgres", "redis", "migrate"))


def test_no_variable_holds_a_secret_and_secrets_go_only_where_they_are_named(compose):
    for name, service in compose["services"].items():
        environment = service.get("environment", {})
        assert not [key for key in environment if re.search("PASSWORD$|KEY$|KEYS$|SECRET$", key)], name
        files = {value.removeprefix("/run/secrets/") for value in environment.values() if value.startswith("/run/secrets/")}
        assert files == set(service.get("secrets", [])), name
        assert files <= compose["secrets"].keys(), name


def test_the_console_is_no_superuser_of_its_database(compose):
    """A script makes its role, and tests/integration/test_database_role.py runs it."""
    postgres = compose["services"]["postgres"]
    assert "POSTGRES_USER" not in postgres["environment"]
    scripts = [volume.split(":") for volume in postgres["volumes"] if "/docker-entrypoint-initdb.d/" in volume]
    assert [(settings.BASE_DIR / source).stat().st_mode & 0o111 for source, _, mode in scripts if mode == "ro"] == [0o111]


def test_the_parts_start_when_what_they_need_is_healthy(compose):
    for name in ("web", "worker", "watch"):
        conditions = {other: wanted["condition"] for other, wanted in compose["services"][name]["depends_on"].items()}
        assert conditions == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }
    assert all("test" in compose["services"][name]["healthcheck"] for name in ("postgres", "redis"))
