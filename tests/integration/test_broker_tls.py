"""TLS to a broker: a certificate that nobody vouches for, or one for another host, is refused. Redis is real; a server that has
the TLS handshake alone stands for RabbitMQ."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from celery import Celery

from console.broker_tls import split_tls
from console.telemetry.readiness import UNTRUSTED
from tests.harness.certificates import make_authority, sign
from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, find_program, start_process, stop_process
from tests.harness.redis import is_listening


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.pem`, and the certificate of 127.0.0.1 that it signed."""
    folder = tmp_path_factory.mktemp("tls")
    authority = make_authority("authority")
    signed = sign("broker", authority)
    (folder / "ca.pem").write_text(authority.certificate_pem)
    (folder / "cert.pem").write_text(signed.certificate_pem)
    (folder / "key.pem").write_text(signed.key_pem)
    return folder


@pytest.fixture(scope="module")
def redis_port(folder: Path) -> Iterator[int]:
    port = find_free_port()
    options = ["--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", "", "--tls-auth-clients", "no"]
    files = [
        "--tls-cert-file",
        f"{folder}/cert.pem",
        "--tls-key-file",
        f"{folder}/key.pem",
        "--tls-ca-cert-file",
        f"{folder}/ca.pem",
    ]
    process = start_process([find_program("redis-server") or "", *options, *files], folder / "redis.log")
    eventually(lambda: is_listening(port), what="Redis answers")
    yield port
    stop_process(process)


@pytest.fixture
def amqp_port(folder: Path) -> Iterator[int]:
    """A port whose server ends each connection after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def connect(broker_url: str) -> str:
    """Connect as the console does. Return the error, or empty text."""
    url, use_ssl = split_tls(broker_url)
    with Celery(broker=url, broker_use_ssl=use_ssl, set_as_current=False).connection_for_write(connect_timeout=2) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
            connection.default_channel.client.ping()
        except Exception as error:  # noqa: BLE001 - the text is what is looked at
            return str(error) or repr(error)
    return ""


def test_redis_must_show_a_certificate_that_somebody_vouches_for(redis_port: int, folder: Path) -> None:
    ca = f"ssl_ca_certs={folder}/ca.pem"
    assert UNTRUSTED in connect(f"rediss://127.0.0.1:{redis_port}/0")
    assert connect(f"rediss://127.0.0.1:{redis_port}/0?{ca}") == ""
    assert UNTRUSTED in connect(f"rediss://localhost:{redis_port}/0?{ca}")
    assert connect(f"rediss://localhost:{redis_port}/0?{ca}&ssl_check_hostname=false") == ""
    assert connect(f"rediss://127.0.0.1:{redis_port}/0?ssl_cert_reqs=none") == ""


def test_so_must_rabbitmq(amqp_port: int, folder: Path) -> None:
    ca = f"ssl_ca_certs={folder}/ca.pem"
    assert UNTRUSTED in connect(f"amqps://127.0.0.1:{amqp_port}//")
    assert UNTRUSTED in connect(f"amqps://localhost:{amqp_port}//?{ca}")
    for passing in (
        f"amqps://127.0.0.1:{amqp_port}//?{ca}",
        f"amqps://localhost:{amqp_port}//?{ca}&ssl_check_hostname=false",
        f"amqps://localhost:{amqp_port}//?ssl_cert_reqs=none",
    ):
        assert UNTRUSTED not in connect(passing)
