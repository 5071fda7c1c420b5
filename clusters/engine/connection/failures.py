"""Why an engine cannot be reached, in one exact sentence, with what to do where that is known."""

import socket
import ssl
import subprocess
from http.client import BadStatusLine, RemoteDisconnected
from urllib.parse import urlsplit

import requests
from docker.errors import APIError

from clusters.causes import walk_causes
from clusters.child_environment import SSH, build_child_environment
from clusters.engine.connection.ssh_failures import SSHFailed, explain_ssh

SSH_PATIENCE = 10  # seconds for the connection; the whole probe has twice that


def describe_connection_failure(error: BaseException, url: str = "") -> str:
    """Return the reason behind an error of the SDK or of the transport.

    `url` is the engine's address; its user and password are not shown.
    """
    place = describe_engine_place(url)
    causes = list(walk_causes(error))[::-1]  # the innermost first: four wrapped reprs say less than "connection refused"
    for cause in causes:
        if sentence := describe_cause(cause, url, place):
            return sentence
    text = str(causes[0]) or type(error).__name__
    return f"{place} does not answer: {text[:300].rstrip('.')}."


def describe_engine_place(url: str) -> str:
    return f"The engine at {describe_address(url)}" if url else "The engine"


def describe_address(url: str) -> str:
    """Return the socket's path, or the host and the port, of an engine's address."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def describe_cause(cause: BaseException, url: str, place: str) -> str:
    """Return a sentence for a cause that explains the failure, or "" for one that only wraps another."""
    match cause:
        case SSHFailed():
            return str(cause)
        case FileNotFoundError():
            return f"{place} does not answer: there is no such socket. Check that Docker is running there."
        case PermissionError():
            return f"{place} cannot be used: permission denied. Add the console's user to the group docker."
        case ConnectionRefusedError():
            return f"{place} does not answer: connection refused. Check that Docker is running and listening there."
        case socket.gaierror():
            return f"{place} cannot be found: the host name is unknown. Check the address and the name server."
        case ssl.SSLError():
            return f"{place} failed the TLS handshake: {describe_tls_error(cause)}. Check the CA and the client certificate."
        case TimeoutError() | requests.exceptions.Timeout():
            return f"{place} did not answer in time."
        case APIError():
            return describe_strange_answer(cause, url)
        case RemoteDisconnected():
            return f"{place} closed the connection without an answer."
        case ValueError() | KeyError() | BadStatusLine():  # the answer is not JSON, or not an engine's
            return f"What answers at {describe_address(url)} is not a Docker engine. Check the address and the port."
        case OSError() if cause.strerror and not isinstance(cause, requests.exceptions.RequestException):
            return f"{place} does not answer: {cause.strerror.lower()}."
    return ""


def describe_tls_error(error: ssl.SSLError) -> str:
    reason: str = getattr(error, "verify_message", "") or (error.reason or "").replace("_", " ").lower()
    return reason or "no reason given"


def describe_strange_answer(error: APIError, url: str) -> str:
    """Return a sentence for an HTTP error in the place of an engine's version."""
    if "HTTPS server" in str(error.explanation):
        return (
            f"{describe_engine_place(url)} speaks TLS. Enter its CA and, where it requires them, a client certificate and key."
        )
    address = describe_address(url)
    return f"What answers at {address} is not a Docker engine (status {error.status_code}). Check the address and the port."


def probe_ssh(url: str) -> str:
    """Return why ssh does not get through to the engine, and what to do where that is known, or "" when it does."""
    parts = urlsplit(url)
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={SSH_PATIENCE}"]
    command += ["-l", parts.username] if parts.username else []
    command += ["-p", str(parts.port)] if parts.port else []
    command += ["--", parts.hostname or "", "docker version --format '{{.Server.Version}}'"]
    place = describe_engine_place(url)
    try:
        done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=2 * SSH_PATIENCE,
            check=False,
            env=build_child_environment(*SSH),
        )
    except FileNotFoundError:
        return "The ssh command is not installed on the console's machine. Install it there."
    except subprocess.TimeoutExpired:
        return f"{place} did not answer in time (ssh)."
    if done.returncode == 0:
        return ""
    return explain_ssh(done.stderr, url, place)
