import os
from pathlib import Path

import pytest

from clusters.registry.credentials import read_helper_credentials
from clusters.registry.errors import RegistryError
from tests.harness.eventually import eventually


@pytest.fixture
def install_helper(tmp_path):
    """`install_helper(text)` installs a shell script as `docker-credential-test` and returns its environment."""

    def install(text: str) -> dict[str, str]:
        program = tmp_path / "docker-credential-test"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    return install


@pytest.mark.parametrize(
    ("host", "server"),
    [("registry.example.com:5000", "registry.example.com:5000"), ("docker.io", "https://index.docker.io/v1/")],
)
def test_helper_is_given_the_host(install_helper, host, server):
    environment = install_helper(
        f"""[ "$1" = get ] && [ "$(cat)" = "{server}" ] && echo '{{"Username": "AWS", "Secret": "s"}}'"""
    )
    assert read_helper_credentials("test", host, environment) == ("AWS", "s")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'credentials not found in native keychain'; exit 1", "knows no credentials"),
        ("echo 'no session' >&2; exit 3", "exit status 3: no session"),
        ("echo '<html>'", "no user name and secret"),
        ("""echo '{"Username": "", "Secret": "s"}'""", "no user name and secret"),
        ("""echo '{"Username": ["a"], "Secret": "s"}'""", "no user name and secret"),
        ("""echo '["a"]'""", "no user name and secret"),
    ],
)
def test_helper_that_returns_no_credentials_says_why(install_helper, script, words):
    with pytest.raises(RegistryError, match=words) as caught:
        read_helper_credentials("test", "registry.example.com", install_helper(script))
    assert caught.value.code == "helper_failed"


def test_helper_that_hangs_is_killed_with_its_children(install_helper, tmp_path):
    environment = install_helper(f"sleep 60 & echo $! > {tmp_path}/pid; sleep 60")
    with pytest.raises(RegistryError, match="did not answer") as caught:
        read_helper_credentials("test", "registry.example.com", environment, patience=1)
    assert caught.value.code == "helper_failed"
    started = int((tmp_path / "pid").read_text())
    eventually(lambda: not is_alive(started))


def is_alive(pid: int) -> bool:
    """Return whether the process runs. A zombie, whose parent has not reaped it yet, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("name", ["nowhere-installed", "../test", "a/b", "", "A", "-x", "a b"])
def test_name_that_is_not_a_helper_is_refused(install_helper, name):
    with pytest.raises(RegistryError) as caught:
        read_helper_credentials(name, "registry.example.com", install_helper("true"))
    assert (caught.value.code, caught.value.permanent) == ("helper_failed", True)
