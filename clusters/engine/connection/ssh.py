"""The SDK's connection to an engine by the ssh command.

The SDK's own adapter needs paramiko even where it does not use it, and reads from a pipe without a timeout.
"""

import socket
import subprocess
from typing import Any
from urllib.parse import urlsplit

import docker.api.client
import urllib3
from docker.transport.basehttpadapter import BaseHTTPAdapter

from clusters.child_environment import SSH, build_child_environment


class SSHSocket(socket.socket):
    """One end of a socket pair; ssh has the other. Timeouts and shutdown work as on any socket."""

    def __init__(self, url: str, timeout: float | None) -> None:
        """`url` such as ssh://user@host:port. Raises OSError."""
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self.settimeout(timeout)
        parts = urlsplit(url)
        command = ["ssh", "-o", "BatchMode=yes"]
        command += ["-l", parts.username] if parts.username else []
        command += ["-p", str(parts.port)] if parts.port else []
        command += ["--", parts.hostname or "", "docker system dial-stdio"]
        # In a process group of its own, so that Ctrl-C at the console's terminal does not end it.
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                process_group=0,
                env=build_child_environment(*SSH),
            )

    def _real_close(self, *arguments: Any) -> None:
        """End ssh once the last reader is closed too."""
        super()._real_close(*arguments)  # type: ignore[misc]
        if (process := getattr(self, "_process", None)) and process.poll() is None:
            process.kill()
            process.wait()


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
