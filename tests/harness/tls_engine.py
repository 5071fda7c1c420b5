"""A real engine that listens on TCP and requires client certificates of one authority."""

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from console.process.private_engine import start_private_engine
from tests.harness.certificates import Signed, sign
from tests.harness.engine import require_engine_programs


@contextlib.contextmanager
def run_tls_engine(authority: Signed) -> Iterator[int]:
    """Run the engine and yield its port on 127.0.0.1. It has no network, so it needs neither bridge nor firewall rules."""
    require_engine_programs()
    with tempfile.TemporaryDirectory(prefix="wltls", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = sign("engine", authority)
        for file, text in (("ca", authority.certificate_pem), ("cert", server.certificate_pem), ("key", server.key_pem)):
            (folder / f"{file}.pem").write_text(text)
        port = find_free_port()
        options = [f"--host=tcp://127.0.0.1:{port}", "--tlsverify", "--iptables=false", "--ip6tables=false"]
        options += [f"--tls{file}={folder}/{file}.pem" for file in ("cert", "key")] + [f"--tlscacert={folder}/ca.pem"]
        wrapper = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        engine = start_private_engine(folder / "engine", bridge="none", arguments=options, wrapper=wrapper)
        try:
            yield port
        finally:
            engine.process.kill()
            engine.process.wait()


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
