"""Runs the console's parts as children of one small process: starts them, restarts those that end, and stops them all.

`manage.py up` becomes this module (exec) once everything is prepared. It imports neither Django nor anything heavy (even
dataclasses would be 2 MB), because it stays in memory as long as the console runs. Each part is a `manage.py` command
that can also run on its own.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0  # seconds before a part that ended is restarted; doubled each time
SETTLED_AFTER = 60.0  # seconds; a part that ran this long is restarted with the first delay again
TICK = 0.5  # seconds; only while something is due
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
libc = ctypes.CDLL(None, use_errno=True)


class SupervisedPart:
    """One child process.

    `stop_limit`: seconds from SIGTERM to SIGKILL. `stage`: stages stop one after another, the lowest first. `delay`: seconds
    until the first start, so that the login page is served first. `once`: the part is not restarted after it succeeded.
    `orphan_signal`: the signal that the kernel sends to the part if the supervisor is killed.
    """

    def __init__(
        self,
        name: str,
        *,
        stop_limit: float,
        stage: int = 0,
        delay: float = 0.0,
        once: bool = False,
        orphan_signal: int = signal.SIGKILL,
    ) -> None:
        self.name, self.stop_limit, self.stage, self.delay, self.once = name, stop_limit, stage, delay, once
        self.orphan_signal = orphan_signal
        self.pid = 0
        self.failures = 0
        self.start_at = self.started_at = 0.0  # monotonic seconds
        self.finished = False  # never to be started again


def make_parts() -> dict[str, SupervisedPart]:
    """Return all parts by name."""
    # After its grace period a worker hands its calls over at the next safe step. A call that it cannot hand over is taken over
    # when its lease expires.
    worker_limit = float(os.environ.get("WINDLASS_STOP_GRACE_SECONDS") or 10) + 10.0
    parts = [
        SupervisedPart("web", stop_limit=10.0),
        SupervisedPart("worker", stop_limit=worker_limit, delay=1.0),
        SupervisedPart("watch", stop_limit=10.0, delay=1.0),
        SupervisedPart("start_sample", stop_limit=5.0, delay=2.0, once=True),
        # An engine needs time to stop its containers, even if nobody waits for it.
        SupervisedPart("run_engine", stop_limit=30.0, stage=1, once=True, orphan_signal=signal.SIGTERM),
    ]
    return {part.name: part for part in parts}


class Supervisor:
    def __init__(self, parts: list[SupervisedPart], manage: str) -> None:
        self.parts = parts
        self.manage = manage

    def run(self) -> None:
        """Run until a signal asks to stop, and return when all parts have ended."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        now = time.monotonic()
        for part in self.parts:
            part.start_at = now + part.delay
        while True:
            self.start_due_parts()
            received = self.wait_for_signal(self.next_start())
            self.reap()
            if received in {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
                break
        say("Stopping.")
        for stage in sorted({part.stage for part in self.parts}):
            self.stop_parts([part for part in self.parts if part.stage == stage])
        say("Stopped.")

    def start_due_parts(self) -> None:
        now = time.monotonic()
        for part in self.parts:
            if not part.pid and not part.finished and part.start_at <= now:
                part.pid = spawn([sys.executable, self.manage, part.name], part.orphan_signal)
                part.started_at = now

    def next_start(self) -> float | None:
        return min((part.start_at for part in self.parts if not part.pid and not part.finished), default=None)

    @staticmethod
    def wait_for_signal(until: float | None) -> int | None:
        """Return the signal that arrived, or None if `until` (monotonic seconds) came first."""
        if until is None:
            return signal.sigwaitinfo(SIGNALS).si_signo
        received = signal.sigtimedwait(SIGNALS, max(until - time.monotonic(), 0.0))
        return received.si_signo if received else None

    def reap(self) -> None:
        """Note the end of every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            part = next((part for part in self.parts if part.pid == pid), None)
            if part:
                self.note_end(part, status)

    @staticmethod
    def note_end(part: SupervisedPart, status: int) -> None:
        part.pid = 0
        if part.once and status == 0:
            part.finished = True
            return
        now = time.monotonic()
        part.failures = 1 if now - part.started_at > SETTLED_AFTER else part.failures + 1
        delay = min(FIRST_DELAY * 2 ** (part.failures - 1), LONGEST_DELAY)
        part.start_at = now + delay
        say(f"The part {part.name} ended ({describe_exit_status(status)}). Restarting it in {delay:g} s.")

    def stop_parts(self, parts: list[SupervisedPart]) -> None:
        """Send SIGTERM to all of them, and SIGKILL to each whose limit is over, or to all after a second signal."""
        for part in parts:
            part.finished = True  # parts that end from now on are not restarted
            if part.pid:
                os.kill(part.pid, signal.SIGTERM)
        signalled_at = time.monotonic()
        hurry = False
        while running := [part for part in parts if part.pid]:
            now = time.monotonic()
            for part in running:
                if hurry or now - signalled_at > part.stop_limit:
                    os.killpg(part.pid, signal.SIGKILL)
            hurry = self.wait_for_signal(now + TICK) in {signal.SIGTERM, signal.SIGINT}
            self.reap_stopped()

    def reap_stopped(self) -> None:
        for part in self.parts:
            if part.pid and os.waitpid(part.pid, os.WNOHANG)[0]:
                part.pid = 0


def spawn(command: list[str], orphan_signal: int) -> int:
    """Start `command` in its own session, so that Ctrl-C reaches only the supervisor. The child ends with the supervisor.
    Returns its pid."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, orphan_signal)
        if os.getppid() != parent:
            os._exit(1)  # the supervisor was killed before prctl took effect
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.execv(command[0], command)
    finally:
        os._exit(127)


def describe_exit_status(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"status {os.waitstatus_to_exitcode(status)}"


def say(text: str) -> None:
    """Write a log line in the format that console.telemetry.log_lines has for the parts. The text must not contain quotes."""
    line_format = os.environ.get("WINDLASS_LOG_FORMAT", "auto").lower()
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if line_format == "json":
        text = f'{{"timestamp": "{moment}", "level": "info", "logger": "windlass.supervisor", "event": "{text}"}}'
    elif line_format == "logfmt" or not sys.stderr.isatty():
        text = f'timestamp={moment} level=info logger=windlass.supervisor event="{text}"'
    print(text, file=sys.stderr, flush=True)


def supervise(arguments: list[str]) -> None:
    """Run the supervisor. Arguments: the path of manage.py, the descriptor of the lock file, the names of the parts."""
    manage, lock, *names = arguments
    os.set_inheritable(int(lock), False)  # a child that outlives the supervisor must not keep the data folder locked
    parts = make_parts()
    Supervisor([parts[name] for name in names], manage).run()


if __name__ == "__main__":
    supervise(sys.argv[1:])
