"""The SDK's way to an engine by ssh, which is the ssh command. The SDK's own needs paramiko even where it is not to use it, and
reads from a pipe, for ever."""

import socket
import subprocess
from typing import Any
from urllib.parse import urlsplit

import docker.api.client
import urllib3
from docker.transport.basehttpadapter import BaseHTTPAdapter


class SSHSocket(socket.socket):
    """One end of a socket pair, whose other end ssh has: timeouts and shutdown hold as on any socket."""

    def __init__(self, url: str, timeout: float | None) -> None:
        """`url` as ssh://user@host:port. Raises OSError."""
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self.settimeout(timeout)
        parts = urlsplit(url)
        command = ["ssh", "-o", "BatchMode=yes"]
        command += ["-l", parts.username] if parts.username else []
        command += ["-p", str(parts.port)] if parts.port else []
        command += ["--", parts.hostname or "", "docker system dial-stdio"]
        # A group of its own: a Ctrl-C at the console's terminal is for the console.
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), process_group=0)  # noqa: S603

    def _real_close(self, *arguments: Any) -> None:
        """When the last reader is closed too."""
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
    """In the place of docker.transport.SSHHTTPAdapter."""

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
    """Lets the SDK know this adapter for ssh:// addresses."""
    docker.api.client.SSHHTTPAdapter = SSHAdapter  # type: ignore[attr-defined]
