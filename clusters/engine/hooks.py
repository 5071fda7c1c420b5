"""The labels that put a step before a redeploy and a check behind it, and how a check is asked. Both drivers share this.

A check is asked by a small shell script in a container of its own that shares the network of what it asks. The script needs
`sleep`, and either `bash`, which opens connections by itself, or `nc`.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from clusters.engine import names
from clusters.engine.durations import parse_duration
from clusters.engine.errors import EngineError, PlanRefused
from clusters.engine.wording import cut

PREDEPLOY_SECONDS, PREDEPLOY_LIMIT = 300.0, 86_400.0
CHECK_SECONDS, CHECK_LIMIT = 60.0, 3_600.0
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:.]{2,45}")
PATH = re.compile(r"[!-~]{0,1000}")  # printable, without spaces: it becomes a part of a request
STATUS_LINE = re.compile(r"HTTP/\d(?:\.\d)? (\d{3}.{0,100})")
# Arguments: host, port, request. Without a host, it only looks for its tools. Without a request, it only connects. Each answer
# that differs from the last is one line of output.
SCRIPT = """\
command -v sleep >/dev/null 2>&1 || exit 3
if command -v bash >/dev/null 2>&1; then tool=bash; elif command -v nc >/dev/null 2>&1; then tool=nc; else exit 3; fi
[ -n "$1" ] || exit 0
limit= last=
command -v timeout >/dev/null 2>&1 && limit='timeout 6'
ask() {
  case "$tool$3" in
    bash*) $limit bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit 1
      if [ -z "$3" ]; then echo open; exit; fi
      printf %s "$3" >&3; IFS= read -r -t 5 line <&3; printf %s "$line"' bash "$@" ;;
    nc) nc -w 5 "$1" "$2" </dev/null >/dev/null & left=6
      while [ $left -gt 0 ] && kill -0 $! 2>/dev/null; do sleep 1; left=$((left - 1)); done
      if kill $! 2>/dev/null || wait $!; then echo open; fi ;;
    *) printf %s "$3" | $limit nc -w 5 "$1" "$2" | { IFS= read -r line; printf %s "$line"; } ;;
  esac
}
while :; do
  answer=$(ask "$@" 2>&1)
  [ "$answer" = "$last" ] || printf '%s\\n' "${answer:-no answer}"
  last=$answer
  case "$answer" in
    open) [ -z "$3" ] && exit 0 ;;
    "HTTP/1."[01]" "[23][0-9][0-9]*) exit 0 ;;
  esac
  sleep 1
done
"""


class HookFailed(EngineError):
    """A pre-deploy step or a check has failed.

    Codes: `predeploy_failed`, `predeploy_timed_out`, `check_failed`, `check_impossible`.
    """

    code = "predeploy_failed"


@dataclass(frozen=True)
class PreDeploy:
    """A command to run once in the new image. `entrypoint` None leaves the service's own. `timeout` is in seconds."""

    command: tuple[str, ...]
    entrypoint: tuple[str, ...] | None
    timeout: float


@dataclass(frozen=True)
class Check:
    """An address to ask. `host` is empty for the new container or service itself. `timeout` is in seconds.

    `image`: what to ask from; empty for the service's own new image.
    """

    address: str
    scheme: Literal["http", "tcp"]
    host: str
    port: int
    path: str
    image: str
    timeout: float

    def make_command(self, host: str) -> list[str]:
        """Return the command that asks `host` again and again until the check passes."""
        named = f"[{self.host}]" if ":" in self.host else self.host or "localhost"
        request = f"GET {self.path or '/'} HTTP/1.0\r\nHost: {named}\r\nUser-Agent: windlass\r\nConnection: close\r\n\r\n"
        return ["sh", "-c", SCRIPT, "windlass-check", host, str(self.port), request if self.scheme == "http" else ""]


LOOK_COMMAND = ["sh", "-c", SCRIPT, "windlass-check", ""]


def read_predeploy(subject: str, labels: Mapping[str, str]) -> PreDeploy | None:
    """Return what the labels ask for; None where there is no step. Raises PlanRefused (`predeploy_label`)."""
    if not (command := split_words(subject, names.PREDEPLOY_LABEL, labels)):
        return None
    entrypoint = split_words(subject, names.PREDEPLOY_ENTRYPOINT_LABEL, labels)
    timeout = read_timeout(subject, names.PREDEPLOY_TIMEOUT_LABEL, labels, PREDEPLOY_SECONDS, PREDEPLOY_LIMIT)
    return PreDeploy(command, entrypoint or None, timeout)


def read_check(subject: str, labels: Mapping[str, str]) -> Check | None:
    """Return what the labels ask for; None where there is no check. Raises PlanRefused (`check_label`)."""
    address = labels.get(names.CHECK_LABEL, "").strip()
    if not address:
        return None
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        raise refuse(subject, names.CHECK_LABEL, f"{cut(address)} is not an address") from error
    if problem := find_address_problem(parts, port, host, address):
        raise refuse(subject, names.CHECK_LABEL, f"{cut(address)} {problem}")
    return Check(
        address=address,
        scheme="tcp" if parts.scheme == "tcp" else "http",
        host=host,
        port=port or 80,
        path=f"{parts.path}{f'?{parts.query}' if parts.query else ''}",
        image=labels.get(names.CHECK_IMAGE_LABEL, "").strip(),
        timeout=read_timeout(subject, names.CHECK_TIMEOUT_LABEL, labels, CHECK_SECONDS, CHECK_LIMIT),
    )


def find_address_problem(parts: SplitResult, port: int | None, host: str, address: str) -> str:
    """Return what is wrong with the address, as the rest of a sentence about it; empty if nothing is."""
    if parts.scheme not in {"http", "tcp"}:
        return "does not begin with http:// or tcp://"
    if not PATH.fullmatch(address) or parts.username is not None or parts.fragment:
        return "has characters or parts that an address of a check cannot have"
    if host and not HOST.fullmatch(host):
        return "has a host that is none"
    if port == 0 or (parts.scheme == "tcp" and (port is None or parts.path.strip("/") or parts.query)):
        return "does not name a port, as in tcp://:5432"
    return ""


def split_words(subject: str, label: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(labels.get(label, "")))
    except ValueError as error:
        raise refuse(subject, label, f"{str(error).lower()}") from error
    if any("\0" in word for word in words):
        raise refuse(subject, label, "it has a zero byte")
    return words


def read_timeout(subject: str, label: str, labels: Mapping[str, str], default: float, limit: float) -> float:
    if not (text := labels.get(label, "").strip()):
        return default
    seconds = parse_duration(text)
    if seconds is None or not 0 < seconds <= limit:
        raise refuse(subject, label, f"{cut(text)} is not a time such as 90s or 10m, up to {limit / 3600:g}h")
    return seconds


def refuse(subject: str, label: str, problem: str) -> PlanRefused:
    code = "check_label" if label.startswith(names.CHECK_LABEL) else "predeploy_label"
    return PlanRefused(f"The label {label} of {subject} cannot be used: {problem}. Correct it.", code=code)


def describe_done(service: str) -> str:
    """Return the sentence that reports a pre-deploy step as done. A worker that takes the call over recognizes it."""
    return cut(f"The pre-deploy step of {service} succeeded.")


def describe_answer(check: Check, lines: Sequence[str], has_passed: bool = False) -> str:
    """Return how the check was answered last. `lines` is the script's output, which is empty where it cannot be read.

    `http://:8080/ready answered 503 Service Unavailable`, `tcp://:5432 did not answer (Connection refused)`.
    """
    last = next((line for line in reversed(lines) if line.strip()), "")
    if status := STATUS_LINE.match(last):
        return f"{cut(check.address)} answered {cut(status[1])}"
    if has_passed:
        return f"{cut(check.address)} answered"
    reason = cut(last.rpartition(": ")[2])
    return f"{cut(check.address)} did not answer{f' ({reason})' if reason and reason != 'no answer' else ''}"
