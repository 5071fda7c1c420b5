"""A wrong value of the environment ends the start with one sentence that names the variable."""

import runpy
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

SETTINGS = Path(settings.BASE_DIR) / "console" / "settings.py"

WRONG_VALUES = [
    ("WINDLASS_PORT", "0"),
    ("WINDLASS_PORT", "65536"),
    ("WINDLASS_PORT", "http"),
    ("WINDLASS_PORT", "-1"),
    ("WINDLASS_PORT", "٨٠"),
    ("WINDLASS_HOST", "two words"),
    ("WINDLASS_HOST", "http://127.0.0.1"),
    ("WINDLASS_PUBLIC_URL", "windlass.example.com"),
    ("WINDLASS_PUBLIC_URL", "ftp://windlass.example.com"),
    ("WINDLASS_PUBLIC_URL", "https://"),
    ("WINDLASS_PUBLIC_URL", "https://host:port"),
    ("WINDLASS_PUBLIC_URL", "https://[::1"),
    ("WINDLASS_ALLOWED_HOSTS", "https://windlass.example.com"),
    ("WINDLASS_ALLOWED_HOSTS", "localhost,windlass.example.com:8000"),
    ("WINDLASS_ALLOWED_HOSTS", "*.example.com"),
    ("WINDLASS_PASS_ENVIRONMENT", "VAULT_ADDR=x"),
    ("WINDLASS_PASS_ENVIRONMENT", "*"),
    ("WINDLASS_PASS_ENVIRONMENT", "VAULT_*,WINDLASS_SECRET_KEY"),
    ("WINDLASS_OIDC_ISSUER", "https://id.example.com"),  # without a client
    ("WINDLASS_OIDC_CLIENT_ID", "windlass"),  # without an issuer
    ("WINDLASS_OIDC_CLIENT_SECRET_FILE", "/nowhere/secret"),
    ("WINDLASS_OIDC_SCOPES", "profile email"),
    ("WINDLASS_OIDC_ADMITS", "all"),
    ("WINDLASS_SESSION_IDLE_HOURS", "0"),
    ("WINDLASS_SESSION_DAYS", "366"),
    ("WINDLASS_SECOND_FACTOR", "some"),
    ("WINDLASS_LOG_LEVEL", "loud"),
    ("WINDLASS_SAMPLE", "maybe"),
    ("WINDLASS_DEBUG", "2"),
    ("WINDLASS_ENCRYPTION_KEY", "short"),
    ("WINDLASS_TRUSTED_PROXIES", "10.0.0.0/33"),
    ("WINDLASS_TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
    ("WINDLASS_WORKER_THREADS", "0"),
    ("WINDLASS_LEASE_SECONDS", "1"),
    ("WINDLASS_CALL_RETENTION_DAYS", "0"),
    ("WINDLASS_SECRET_KEY_FILE", "/nowhere/secret"),
    ("WINDLASS_ENGINE_SOCKETS", "docker.sock"),
    ("WINDLASS_ENGINE_SOCKETS", "/run/docker.sock,tcp://host:2375"),
    ("DOCKER_HOST", "http://127.0.0.1:2375"),
    ("DOCKER_HOST", "unix://var/run/docker.sock"),
    ("DOCKER_HOST", "tcp://"),
    ("DOCKER_HOST", "tcp://host:99999"),
    ("DATABASE_URL", "mysql://user:hidden@host/windlass"),
    ("DATABASE_URL", "postgres://user:hidden@host:port/windlass"),
    ("BROKER_URL", "kafka://user:hidden@host"),
    ("BROKER_URL", "redis://:hidden@host:99999"),
]


def load_settings() -> dict[str, object]:
    return runpy.run_path(str(SETTINGS))


@pytest.fixture(autouse=True)
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in {name for name, _ in WRONG_VALUES}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WINDLASS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.mark.parametrize(("name", "value"), WRONG_VALUES)
def test_a_wrong_value_is_refused_with_one_sentence(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        load_settings()
    sentence = str(refused.value)
    assert name in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "hidden" not in sentence, "a password of a URL was shown"


def test_the_defaults_are_accepted(data_directory: Path) -> None:
    loaded = load_settings()
    assert loaded["PORT"] == 8000
    assert loaded["HOST"] == "127.0.0.1"
    assert loaded["DOCKER_HOST"] == "unix:///var/run/docker.sock"


def test_the_usual_sockets_are_allowed_by_default(data_directory: Path) -> None:
    sockets = load_settings()["ENGINE_SOCKETS"]
    assert isinstance(sockets, list)
    assert {"/var/run/docker.sock", "/run/docker.sock", str(data_directory / "engine" / "docker.sock")} <= set(sockets)


def test_the_given_sockets_replace_them_beside_the_engines_that_the_environment_names(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = str(data_directory / "engine" / "docker.sock")
    monkeypatch.setenv("WINDLASS_ENGINE_SOCKETS", "/srv/a.sock, unix:///srv/*/b.sock")
    assert load_settings()["ENGINE_SOCKETS"] == ["/srv/a.sock", "/srv/*/b.sock", own]
    monkeypatch.setenv("DOCKER_HOST", "unix:///srv/mine.sock")
    assert load_settings()["ENGINE_SOCKETS"] == ["/srv/a.sock", "/srv/*/b.sock", "/srv/mine.sock", own]
    monkeypatch.setenv("DOCKER_HOST", "tcp://host:2376")
    assert load_settings()["ENGINE_SOCKETS"] == ["/srv/a.sock", "/srv/*/b.sock", own]


def test_secrets_are_made_once_and_readable_by_their_owner_alone(data_directory: Path) -> None:
    first, second = load_settings(), load_settings()
    for variable, name in (("SECRET_KEY", "secret.key"), ("ENCRYPTION_KEY", "encryption.key")):
        assert first[variable] == second[variable] == (data_directory / name).read_text().strip()
        assert (data_directory / name).stat().st_mode & 0o777 == 0o600
    assert data_directory.stat().st_mode & 0o777 == 0o700


def test_a_secret_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    monkeypatch.setenv("WINDLASS_SECRET_KEY_FILE", str(tmp_path / "key"))
    assert load_settings()["SECRET_KEY"] == "from-a-file"


def test_an_empty_secret_file_is_refused_rather_than_replaced(data_directory: Path) -> None:
    data_directory.mkdir()
    (data_directory / "encryption.key").touch()
    with pytest.raises(ImproperlyConfigured, match="Restore it from a backup"):
        load_settings()


def test_a_data_folder_that_is_a_file_is_refused(data_directory: Path) -> None:
    data_directory.write_text("")
    with pytest.raises(ImproperlyConfigured, match="cannot be read or created"):
        load_settings()


@pytest.mark.parametrize("issuer", ["http://id.example.com", "https://user:hidden@id.example.com", "id.example.com"])
def test_an_identity_provider_without_tls_is_refused(issuer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDLASS_OIDC_ISSUER", issuer)
    monkeypatch.setenv("WINDLASS_OIDC_CLIENT_ID", "windlass")
    with pytest.raises(ImproperlyConfigured, match="WINDLASS_OIDC_ISSUER") as refused:
        load_settings()
    assert "hidden" not in str(refused.value)


def test_an_identity_provider_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden\n")
    monkeypatch.setenv("WINDLASS_OIDC_ISSUER", "https://id.example.com/")
    monkeypatch.setenv("WINDLASS_OIDC_CLIENT_ID", "windlass")
    monkeypatch.setenv("WINDLASS_OIDC_CLIENT_SECRET_FILE", str(tmp_path / "secret"))
    assert load_settings()["OIDC"] == {
        "issuer": "https://id.example.com/",
        "client_id": "windlass",
        "given_secret": "hidden",
        "name": "single sign-on",
        "scopes": "openid profile email",
        "groups_claim": "groups",
        "admits": "mapped",
    }
