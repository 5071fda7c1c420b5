"""The SDK's connection to an engine by the ssh command.

The SDK's own adapter needs paramiko even where it does not use it, and reads from a pipe without a timeout.
"""

import os
import socket
import subprocess
from typing import Any
from urllib.parse import urlsplit

import docker.api.client
import structlog
import urllib3
from docker.transport.basehttpadapter import BaseHTTPAdapter

from clusters.child_environment import SSH, build_child_environment
from clusters.engine.connection.failures import describe_engine_place
from clusters.engine.connection.ssh_failures import SAID, SSHFailed, explain_ssh

END_SECONDS = 1.0  # for which ssh may close its connection before it ends

log = structlog.get_logger("windlass.engine")


class SSHSocket(socket.socket):
    """One end of a socket pair; ssh has the other. Timeouts and shutdown work as on any socket. What ssh says becomes one line
    of the log and one error, when ssh ends by itself."""

    def __init__(self, url: str, timeout: float | None) -> None:
        """`url` such as ssh://user@host:port. Raises OSError."""
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self.settimeout(timeout)
        self._url = url
        self._said = os.memfd_create("ssh")  # unlike a pipe, it needs no reader
        self._reason = ""
        parts = urlsplit(url)
        command = ["ssh", "-o", "BatchMode=yes"]
        command += ["-l", parts.username] if parts.username else []
        command += ["-p", str(parts.port)] if parts.port else []
        command += ["--", parts.hostname or "", "docker system dial-stdio"]
        # In a process group of its own, so that Ctrl-C at the console's terminal does not end it.
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._said,
                    process_group=0,
                    env=build_child_environment(*SSH),
                )
        except OSError:
            self.close()
            raise

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        """Raises SSHFailed in the place of an end that ssh's failure caused."""
        size = super().recv_into(*arguments, **options)
        if size == 0 and self._has_failed(END_SECONDS):
            raise SSHFailed(self._reason)
        return size

    def _has_failed(self, patience: float) -> bool:
        """Return whether ssh ended by itself and failed. Log it the first time. Waits up to `patience` seconds for the end."""
        try:
            if self._process.wait(patience) == 0:
                return False
        except subprocess.TimeoutExpired:
            return False
        if not self._reason:
            said = os.pread(self._said, SAID, 0).decode(errors="replace")
            self._reason = explain_ssh(said, self._url, describe_engine_place(self._url))
            log.warning("ssh ended", reason=self._reason)
        return True

    def _real_close(self, *arguments: Any) -> None:
        """End ssh once the last reader is closed too."""
        super()._real_close(*arguments)  # type: ignore[misc]
        if (process := getattr(self, "_process", None)) and not self._has_failed(0):
            process.kill()
            process.wait()
        if (said := self.__dict__.pop("_said", None)) is not None:
            os.close(said)


class SSHConnection(urllib3.connection.HTTPConnection):
    def __init__(self, url: str) -> None:
        super().__init__("localhost")
        self._url = url

    def connect(self) -> None:
        self.sock = SSHSocket(self._url, self.timeout)


class SSHPool(urllib3.HTTPConnectionPool):
    def __init__(self, url: str, size: int) -> None:
        super().__init__("localhost", maxsize=size)
        self._url = url

    def _new_conn(self) -> SSHConnection:
        return SSHConnection(self._url)


class SSHAdapter(BaseHTTPAdapter):
    """The replacement for docker.transport.SSHHTTPAdapter."""

    def __init__(self, base_url: str, timeout: float, max_pool_size: int, **_: Any) -> None:
        super().__init__()
        self._pool = SSHPool(base_url, max_pool_size)

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> str:
        return str(request.path_url)

    def close(self) -> None:
        super().close()
        self._pool.close()


def use_ssh_command() -> None:
    """Make the SDK use this adapter for ssh:// addresses."""
    docker.api.client.SSHHTTPAdapter = SSHAdapter  # type: ignore[attr-defined]
