"""Credentials from Docker's credential helpers, which are programs: for tokens that expire, such as Amazon ECR's."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping

from clusters.child_environment import HELPERS, build_child_environment
from clusters.registry.access import name_server
from clusters.registry.challenge import read_json
from clusters.registry.errors import RegistryError

HELPER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
HELPER_PATIENCE = 10.0  # seconds
NOT_FOUND = "credentials not found in native keychain"  # the protocol's own message


def read_helper_credentials(
    helper: str, host: str, environment: Mapping[str, str] | None = None, patience: float = HELPER_PATIENCE
) -> tuple[str, str]:
    """Return the user name and password from `docker-credential-<helper> get`.

    Without `environment` the helper gets what helpers need (clusters.child_environment). The user name is TOKEN_USER where the
    password is a refresh token. Raises RegistryError (`helper_failed`).
    """
    if not HELPER_NAME.fullmatch(helper):
        raise RegistryError(
            "The credential helper's name is invalid. Enter such as ecr-login for docker-credential-ecr-login.",
            "helper_failed",
            permanent=True,
        )
    program = f"docker-credential-{helper}"
    answer = read_json(run_helper(program, name_server(host), environment, patience))
    username, password = (answer.get("Username"), answer.get("Secret")) if isinstance(answer, dict) else (None, None)
    if not (isinstance(username, str) and isinstance(password, str) and username and password):
        raise RegistryError(f"{program} returned no user name and secret for {host}.", "helper_failed")
    return username, password


def run_helper(program: str, server: str, environment: Mapping[str, str] | None, patience: float) -> bytes:
    """Run the helper and return its output. Raises RegistryError."""
    try:
        process = subprocess.Popen(
            [program, "get"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=build_child_environment(*HELPERS) if environment is None else environment,
            start_new_session=True,  # so that its child processes end with it
        )
    except OSError as error:
        why = (
            "is not on the PATH of the console and its workers"
            if isinstance(error, FileNotFoundError)
            else f"cannot be run: {error.strerror}"
        )
        raise RegistryError(f"{program} {why}.", "helper_failed", permanent=True) from error
    with process:
        try:
            output, complaint = process.communicate(server.encode(), patience)
        except subprocess.TimeoutExpired as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise RegistryError(f"{program} did not answer within {patience:g} seconds.", "helper_failed") from error
    if process.returncode:
        raise classify_helper_exit(program, server, process.returncode, output + b"\n" + complaint)
    return output


def classify_helper_exit(program: str, server: str, status: int, words: bytes) -> RegistryError:
    text = words.decode(errors="replace")
    if NOT_FOUND in text:
        return RegistryError(
            f"{program} knows no credentials for {server}. Log in there with docker login, as the console's user.",
            "helper_failed",
            permanent=True,
        )
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    said = f": {line[:200]}" if line else "."
    return RegistryError(f"{program} failed with exit status {status}{said}", "helper_failed")
