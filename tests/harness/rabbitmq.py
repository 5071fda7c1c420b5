"""A private RabbitMQ server of one node, without plugins, on free ports of 127.0.0.1. It starts in about five seconds."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, kill_namespace, start_process
from tests.harness.redis import is_listening

PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the one in PATH changes the user
USER = "windlass"
# One scheduler that does not spin, and a door to other nodes on the loopback only.
ERLANG = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"


@dataclass
class PrivateRabbit:
    """A node whose data and log are in `folder`."""

    folder: Path
    port: int = field(default_factory=find_free_port)
    ports: tuple[int, int] = field(default_factory=lambda: (find_free_port(), find_free_port()))  # of Erlang's own services
    process: subprocess.Popen[bytes] | None = None

    def url(self, password: str) -> str:
        return f"amqp://{USER}:{password}@127.0.0.1:{self.port}//"

    def start(self, password: str = "") -> None:
        """Start the node. With a password it is a new one, whose user has this password."""
        if password:
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            (self.folder / "rabbit.conf").write_text(f"default_user = {USER}\ndefault_pass = {password}\n")
        (self.folder / "plugins").write_text("[].")
        name_port, node_port = (str(port) for port in self.ports)
        environment = {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": name_port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "windlass@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": node_port,
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbit.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
        }
        # In a process namespace of its own, as Erlang starts daemons. What a dying node dumps stays in its folder.
        command = ["env", "--chdir", str(self.folder), "unshare", "--pid", "--fork", "--kill-child", PROGRAM]
        assert Path(PROGRAM).exists(), "RabbitMQ is missing; install it with: apt-get install rabbitmq-server"
        self.process = start_process(command, self.folder / "rabbit.log", environment)
        eventually(lambda: is_listening(self.port), within=60, what="RabbitMQ answers")

    def kill(self) -> None:
        if self.process:
            kill_namespace(self.process)
            self.process = None


@contextmanager
def provide_rabbit(folder: Path) -> Iterator[PrivateRabbit]:
    """Yield a server that does not run yet. It is killed at the end."""
    folder.mkdir()
    rabbit = PrivateRabbit(folder)
    try:
        yield rabbit
    finally:
        rabbit.kill()
