"""What programs that the console starts get of its environment. Each is really started, and writes down what it was given."""

import os
from pathlib import Path

import docker.auth
import pytest

from clusters import child_environment
from clusters.child_environment import HELPERS, SSH, build_child_environment, pass_on
from clusters.engine.connection.failures import probe_ssh
from clusters.engine.connection.session import EngineSession
from clusters.engine.connection.ssh import SSHSocket
from clusters.registry.credentials import read_helper_credentials
from tests.harness.eventually import eventually

SECRETS = {
    "WINDLASS_SECRET_KEY": "planted-1",
    "WINDLASS_ENCRYPTION_KEY": "planted-2",
    "WINDLASS_METRICS_TOKEN": "planted-3",
    "WINDLASS_ADMIN_PASSWORD": "planted-4",
    "DATABASE_URL": "postgres://windlass:planted-5@db/windlass",
    "DATABASE_PASSWORD": "planted-6",
    "BROKER_URL": "redis://:planted-7@redis",
    "SENTRY_DSN": "planted-8",  # of nobody whom these programs know
}
NEEDED = {
    "HTTPS_PROXY": "http://proxy:3128",
    "no_proxy": "localhost",
    "LC_ALL": "C",
    "SSH_AUTH_SOCK": "/run/agent",
    "AWS_PROFILE": "production",
    "GOOGLE_APPLICATION_CREDENTIALS": "/etc/gcp.json",
    "AZURE_CLIENT_ID": "id",
    "DOCKER_CONFIG": "/data/.docker",
}

SCRIPT = """#!/bin/sh
env > '{path}.part'
mv '{path}.part' '{path}'
printf '{{"Username": "AWS", "Secret": "s"}}'
"""


@pytest.fixture(autouse=True)
def programs(tmp_path, monkeypatch):
    """Put programs on the PATH that write their environment to files of their names, and plant secrets in ours."""
    answer = """printf '{"Username": "AWS", "Secret": "s"}'"""
    for name in ("ssh", "docker-credential-test", "dockerd", "apt-get"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f'#!/bin/sh\nenv > "{tmp_path}/{name}.tmp"\nmv "{tmp_path}/{name}.tmp" "{tmp_path}/{name}"\n{answer}\n'
        )
        program.chmod(0o755)
    for name, value in {**SECRETS, **NEEDED, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)


def read_given(path: Path) -> dict[str, str]:
    eventually(path.exists, what="the program was started")
    text = path.read_text()
    assert "planted" not in text
    return dict(line.partition("=")[::2] for line in text.splitlines())


def missing(given, *names):
    return {name for name in names if given.get(name) != NEEDED[name]}


COMMON = ("HTTPS_PROXY", "no_proxy", "LC_ALL")


def test_a_credential_helper_gets_what_helpers_need(tmp_path):
    assert read_helper_credentials("test", "registry.example.com") == ("AWS", "s")
    given = read_given(tmp_path / "docker-credential-test")
    clouds = ("AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_ID", "DOCKER_CONFIG")
    assert missing(given, *COMMON, *clouds) == set()
    assert "HOME" in given


def test_a_helper_of_the_users_docker_config_gets_no_more(tmp_path, monkeypatch):
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text('{"credHelpers": {"registry.example.com": "test"}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    api = EngineSession("", base_url="tcp://127.0.0.1:1", version="1.41")
    assert docker.auth.get_config_header(api, "registry.example.com")
    assert "AWS_PROFILE" in read_given(tmp_path / "docker-credential-test")


@pytest.mark.parametrize(
    "start", [lambda: SSHSocket("ssh://user@host", 5), lambda: probe_ssh("ssh://user@host")], ids=["connection", "probe"]
)
def test_ssh_gets_the_agent_and_no_account_of_a_cloud(tmp_path, start):
    opened = start()
    given = read_given(tmp_path / "ssh")
    assert missing(given, *COMMON, "SSH_AUTH_SOCK") == set()
    assert "AWS_PROFILE" not in given
    if opened:
        opened.close()


def test_operators_can_pass_on_more_but_nothing_of_the_consoles_own(monkeypatch):
    monkeypatch.setattr(child_environment, "_chosen", ())
    monkeypatch.setenv("VAULT_ADDR", "https://vault")
    assert "VAULT_ADDR" not in build_child_environment(*HELPERS)
    pass_on(["VAULT_*", "D*", "WINDLASS_SECRET_KEY", "*"])
    given = build_child_environment(*SSH)
    assert given["VAULT_ADDR"] == "https://vault"
    assert not {name for name in given if name in SECRETS and name != "SENTRY_DSN"}
