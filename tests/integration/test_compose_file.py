"""Compose itself accepts the production file. console/tests/test_deployment.py checks its content."""

import os
import subprocess

from tests.harness.console import BASE_DIR
from tests.harness.proc import find_program

NEEDED = {"WINDLASS_PUBLIC_URL": "https://windlass.example.com", "DOCKER_GID": "999"}


def read_configuration(**variables: str) -> subprocess.CompletedProcess[str]:
    program = find_program("docker-compose")
    assert program, "docker-compose is missing; install it with: apt-get install docker-compose"
    command = [program, "--file", str(BASE_DIR / "compose.yaml"), "config", "--quiet"]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


def test_compose_accepts_the_file():
    done = read_configuration(**NEEDED)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_only_the_operator_can_know_is_asked_for():
    done = read_configuration(WINDLASS_PUBLIC_URL=NEEDED["WINDLASS_PUBLIC_URL"], DOCKER_GID="")
    assert done.returncode != 0
    assert "the group of /var/run/docker.sock" in done.stderr
