"""Runs the console's parts as children of one small process: starts them, restarts one that dies, stops all of them.

`manage.py up` becomes this module (exec) once everything is prepared. It imports neither Django nor anything heavy (even
dataclasses would be 2 MB), since it stays in memory for as long as the console runs. Each part is a `manage.py` command
and may as well be run on its own.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0  # seconds before a part that died is started again; doubled each time
SETTLED_AFTER = 60.0  # seconds; a part that ran as long starts with the first delay again
TICK = 0.5  # seconds; only while something is due
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
libc = ctypes.CDLL(None, use_errno=True)


class Part:
    """One child. `stop_limit`: seconds from SIGTERM to SIGKILL. `stage`: stages stop one after another, the lowest first.
    `delay`: seconds it waits at the first start, so that the login page is served first. `once`: not started again when it
    ended well. `orphan_signal`: what it gets from the kernel when the supervisor itself is killed."""

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
        self.finished = False  # not to be started again


def known_parts() -> dict[str, Part]:
    parts = [
        Part("web", stop_limit=10.0),
        # After its grace period a worker hands over at the next safe step. What it cannot is taken over when its lease is over.
        Part("worker", stop_limit=float(os.environ.get("WINDLASS_STOP_GRACE_SECONDS") or 10) + 10.0, delay=1.0),
        Part("watch", stop_limit=10.0, delay=1.0),
        Part("start_sample", stop_limit=5.0, delay=2.0, once=True),
        # An engine needs its time to stop its containers, also when nobody waits for it.
        Part("run_engine", stop_limit=30.0, stage=1, once=True, orphan_signal=signal.SIGTERM),
    ]
    return {part.name: part for part in parts}


class Supervisor:
    def __init__(self, parts: list[Part], manage: str) -> None:
        self.parts = parts
        self.manage = manage

    def run(self) -> None:
        """Returns after a clean stop."""
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
        """The signal that came; None when `until` (monotonic seconds) came first."""
        if until is None:
            return signal.sigwaitinfo(SIGNALS).si_signo
        received = signal.sigtimedwait(SIGNALS, max(until - time.monotonic(), 0.0))
        return received.si_signo if received else None

    def reap(self) -> None:
        """Takes note of every child that ended."""
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
    def note_end(part: Part, status: int) -> None:
        part.pid = 0
        if part.once and status == 0:
            part.finished = True
            return
        now = time.monotonic()
        part.failures = 1 if now - part.started_at > SETTLED_AFTER else part.failures + 1
        delay = min(FIRST_DELAY * 2 ** (part.failures - 1), LONGEST_DELAY)
        part.start_at = now + delay
        say(f"The part {part.name} ended ({describe_status(status)}); it starts again in {delay:g} s.")

    def stop_parts(self, parts: list[Part]) -> None:
        """SIGTERM to all of them, SIGKILL to each whose limit is over, or to all when a second signal asks to hurry."""
        for part in parts:
            part.finished = True  # whatever ends from now on stays down
            if part.pid:
                os.kill(part.pid, signal.SIGTERM)
        asked_at = time.monotonic()
        hurry = False
        while running := [part for part in parts if part.pid]:
            now = time.monotonic()
            for part in running:
                if hurry or now - asked_at > part.stop_limit:
                    os.killpg(part.pid, signal.SIGKILL)
            hurry = self.wait_for_signal(now + TICK) in {signal.SIGTERM, signal.SIGINT}
            self.reap_stopped()

    def reap_stopped(self) -> None:
        for part in self.parts:
            if part.pid and os.waitpid(part.pid, os.WNOHANG)[0]:
                part.pid = 0


def spawn(command: list[str], orphan_signal: int) -> int:
    """Starts `command` in a session of its own (a Ctrl-C reaches the supervisor alone) that ends with the supervisor."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, orphan_signal)
        if os.getppid() != parent:
            os._exit(1)  # the supervisor was killed before the line above
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.execv(command[0], command)
    finally:
        os._exit(127)


def describe_status(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"status {os.waitstatus_to_exitcode(status)}"


def say(text: str) -> None:
    """A line of the log, as console.telemetry.log_lines writes it for the parts. No text here has a quote in it."""
    line_format = os.environ.get("WINDLASS_LOG_FORMAT", "auto").lower()
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if line_format == "json":
        text = f'{{"timestamp": "{moment}", "level": "info", "logger": "windlass.supervisor", "event": "{text}"}}'
    elif line_format == "logfmt" or not sys.stderr.isatty():
        text = f'timestamp={moment} level=info logger=windlass.supervisor event="{text}"'
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    """Arguments: the path of manage.py, the descriptor of the lock file, the names of the parts."""
    manage, lock, *names = arguments
    os.set_inheritable(int(lock), False)  # ours alone: a child that outlives us must not hold the data folder
    known = known_parts()
    Supervisor([known[name] for name in names], manage).run()


if __name__ == "__main__":
    main(sys.argv[1:])
