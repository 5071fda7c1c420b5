"""A private OpenSSH server on a free port of 127.0.0.1, and an ssh command that trusts it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, find_program, start_process, stop_process
from tests.harness.redis import is_listening


@dataclass
class PrivateSSHD:
    """A server for the current user, for whose sessions `engine_url` is the Docker engine. All its files are in `folder`."""

    folder: Path
    engine_url: str
    port: int = field(default_factory=find_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ssh://{os.environ.get('USER', 'root')}@127.0.0.1:{self.port}"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def create(self) -> None:
        """Make the keys, and `folder`/bin/ssh: ssh with a configuration of its own, and not the one of the machine's user."""
        for name in ("host_key", "other_key", "user_key"):
            self._make_key(name)
        os.chmod(self.folder, 0o755)  # noqa: S103
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it, and Debian makes it when the service is started
        (self.folder / "sshd_config").write_text(
            f"HostKey {self.folder}/host_key\nAuthorizedKeysFile {self.folder}/user_key.pub\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\nListenAddress 127.0.0.1\n"
            f"SetEnv DOCKER_HOST={self.engine_url}\n"
        )
        (self.folder / "ssh_config").write_text(
            f"IdentityFile {self.folder}/user_key\nIdentitiesOnly yes\nIdentityAgent none\nGlobalKnownHostsFile none\n"
            f"UserKnownHostsFile {self.known_hosts}\n"
        )
        (self.folder / "bin").mkdir()
        command = self.folder / "bin" / "ssh"
        command.write_text(f'#!/bin/sh\nexec {find_program("ssh")} -F {self.folder}/ssh_config "$@"\n')
        command.chmod(0o755)

    def _make_key(self, name: str) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)], check=True)

    def trust(self, key: str = "host_key") -> None:
        """Write this key into known_hosts; "" empties it."""
        public = (self.folder / f"{key}.pub").read_text() if key else ""
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public}" if public else "")

    def start(self) -> None:
        program = find_program("sshd")
        assert program, "sshd is missing; install it with: apt-get install openssh-server"
        command = [program, "-D", "-e", "-f", str(self.folder / "sshd_config"), "-p", str(self.port)]
        self.process = start_process(command, self.folder / "sshd.log")
        eventually(lambda: is_listening(self.port), what="sshd answers")

    def list_connections(self) -> list[int]:
        """Return the process ids of the open connections."""
        assert self.process
        pid = self.process.pid
        with suppress(FileNotFoundError):
            return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def cut(self) -> int:
        """Kill all connections, and return how many there were."""
        connections = self.list_connections()
        for pid in connections:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(connections)


@contextmanager
def run_sshd(folder: Path, engine_url: str) -> Iterator[PrivateSSHD]:
    server = PrivateSSHD(folder, engine_url)
    server.create()
    server.trust()
    server.start()
    try:
        yield server
    finally:
        server.cut()
        if server.process:
            stop_process(server.process)
