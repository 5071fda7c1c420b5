import socket
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import certifi
import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.failures import describe_connection_failure
from clusters.engine.errors import EngineUnreachable

REFUSED = "connection refused. Check that Docker is running and listening there."


def reason(url, **options):
    with pytest.raises(EngineUnreachable) as caught:
        EngineClient(EngineEndpoint(url, **options), timeout=1)
    return caught.value.message


@contextmanager
def listening(answer=None):
    """A TCP server that answers every request with `answer`, or never."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                if answer is not None:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.close()

        held = []
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_a_missing_socket(tmp_path):
    assert (
        reason(f"unix://{tmp_path}/none.sock")
        == f"The engine at {tmp_path}/none.sock does not answer: there is no such socket. Check that Docker is running there."
    )


def test_a_socket_that_nobody_serves(tmp_path):
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(tmp_path / "dead.sock"))
    assert reason(f"unix://{tmp_path}/dead.sock") == f"The engine at {tmp_path}/dead.sock does not answer: {REFUSED}"


def test_a_refused_connection():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    assert reason(f"tcp://127.0.0.1:{port}") == f"The engine at 127.0.0.1:{port} does not answer: {REFUSED}"


def test_permission_denied():
    assert "permission denied" in describe_connection_failure(
        PermissionError(13, "Permission denied"), "unix:///run/docker.sock"
    )


def test_an_unknown_host(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: (_ for _ in ()).throw(socket.gaierror(-2, "unknown")))
    assert (
        reason("tcp://engine.invalid:2375")
        == "The engine at engine.invalid:2375 cannot be found: the host name is unknown. Check the address and the name server."
    )


def test_silence():
    with listening() as address:
        assert reason(f"tcp://{address}") == f"The engine at {address} did not answer in time."


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_what_is_not_an_engine(answer):
    with listening(answer) as address:
        assert reason(f"tcp://{address}").startswith(f"What answers at {address} is not a Docker engine")


def test_an_engine_that_requires_tls():
    answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    with listening(answer) as address:
        assert "speaks TLS" in reason(f"tcp://{address}")


def test_a_plain_server_where_tls_is_expected():
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        assert "TLS" in reason(f"tcp://{address}", ca=read_some_certificate())


def read_some_certificate():
    text = Path(certifi.where()).read_text()
    start = text.index("-----BEGIN CERTIFICATE-----")
    return text[start : text.index("-----END CERTIFICATE-----", start)] + "-----END CERTIFICATE-----\n"


def test_ssh_says_in_its_own_words_why_it_fails(tmp_path, monkeypatch):
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'Warning: x' >&2\necho 'deploy@build: Permission denied (publickey).' >&2\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    expected = "The engine at build cannot be reached by ssh: deploy@build: Permission denied (publickey)."
    assert reason("ssh://deploy@build") == expected


def test_a_missing_ssh_command(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert reason("ssh://deploy@build") == "The ssh command is not installed on the console's machine. Install it there."


def test_a_password_in_the_address_is_not_shown():
    assert "secret" not in describe_connection_failure(ConnectionRefusedError(), "tcp://user:secret@host:1")
