"""Unnamed network namespaces. A process holds each; when it ends, the kernel removes the namespace with all its links."""

import subprocess
from dataclasses import dataclass

from tests.harness.proc import find_program


@dataclass
class NetworkSpace:
    holder: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        """The process id for `ip link … netns PID`."""
        return self.holder.pid

    @property
    def enter(self) -> list[str]:
        """The command prefix that runs a command in this namespace."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net"]

    def ip(self, *lines: str) -> None:
        """Run `ip` commands inside, such as "link set lo up". Raises AssertionError with its output at the first failure."""
        run_ip_batch(lines, self.enter)

    def release(self) -> None:
        self.holder.kill()
        self.holder.wait()


def hold_network_space() -> NetworkSpace:
    """Make a new, empty namespace. It ends with the calling thread at the latest."""
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"]
    holder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    assert holder.stdout
    with holder.stdout as output:
        if not output.readline():
            raise AssertionError("This machine gives no network namespace.")
    return NetworkSpace(holder)


def run_ip_batch(lines: tuple[str, ...], wrapper: list[str] | None = None) -> None:
    command = [*(wrapper or []), find_program("ip") or "ip", "-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"ip {'; '.join(lines)}: {done.stderr.strip()}")
