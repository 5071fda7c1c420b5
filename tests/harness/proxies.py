"""Reverse proxies with the configurations of docs/operate.md. Only paths, ports and addresses are replaced."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from tests.harness.certificates import make_authority, sign
from tests.harness.documents import read_block, replace_words
from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, find_program, start_process, stop_process

HOST = "windlass.example.com"  # in the docs, and the host that callers name
PREFIX = "/windlass"
CLIENT = "127.0.0.2"  # the address of the tests' callers: another than that of the proxies
CONSOLE = "127.0.0.1:8000"  # in the docs
MODULES = Path("/usr/lib/apache2/modules")
APACHE_MODULES = (
    *("mpm_event", "authz_core", "setenvif", "headers", "env"),
    *("ssl", "socache_shmcb", "proxy", "proxy_http"),
)


class ByThisPort(HTTPAdapter):
    """Sends requests for any host to a port of 127.0.0.1, by TLS and from CLIENT."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._pool = urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            port,
            server_hostname=HOST,
            assert_hostname=HOST,
            source_address=(CLIENT, 0),
        )

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()


@dataclass
class Proxy:
    """A running proxy. Everything that it writes is below `folder`; `authority` is the file of the CA that signed for it."""

    name: str
    folder: Path
    authority: Path
    port: int = field(default_factory=find_free_port)

    def open_session(self) -> requests.Session:
        """Return a session whose requests to https://windlass.example.com go to this proxy."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.authority)
        session.headers["Host"] = HOST
        session.mount(f"https://{HOST}", ByThisPort(self.port))
        return session

    def read_logs(self) -> str:
        files = [path for path in self.folder.rglob("*") if path.is_file() and ".log" in path.name]
        return "".join(path.read_text(errors="replace") for path in files)

    def is_up(self) -> bool:
        with suppress(requests.RequestException, OSError), self.open_session() as session:
            return bool(session.get(f"https://{HOST}/", timeout=10, allow_redirects=False).status_code)
        return False


def write_certificate(folder: Path) -> Path:
    """Write a certificate of HOST with its key as `windlass.pem`, and the key alone. Return the authority's file."""
    authority = make_authority("proxies")
    signed = sign(HOST, authority, host=HOST)
    (folder / "windlass.pem").write_text(signed.certificate_pem + signed.key_pem)
    (folder / "windlass.key").write_text(signed.key_pem)
    (folder / "authority.pem").write_text(authority.certificate_pem)
    return folder / "authority.pem"


def write_nginx(proxy: Proxy, console: str, more: dict[str, str] | None = None) -> list[str]:
    """`more` are further words of the block with what replaces them."""
    words = {
        **(more or {}),
        CONSOLE: console,
        "listen 443": f"listen 127.0.0.1:{proxy.port}",
        "/etc/ssl/": f"{proxy.folder}/",
    }
    block = replace_words(read_block("operate.md", "nginx", "proxy_pass"), words)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "\n".join(f"{kind}_temp_path {proxy.folder}/{kind};" for kind in kinds)
    around = f"""daemon off; master_process off; pid {proxy.folder}/pid; error_log {proxy.folder}/error.log info;
events {{}}
http {{
access_log {proxy.folder}/access.log;
{folders}
{block}
}}"""
    (proxy.folder / "nginx.conf").write_text(around)
    return ["nginx", "-p", str(proxy.folder), "-c", str(proxy.folder / "nginx.conf"), "-e", str(proxy.folder / "error.log")]


def write_caddy(proxy: Proxy, console: str) -> list[str]:
    own = f"""{{
    admin off
    local_certs
    skip_install_trust
    auto_https disable_redirects
    https_port {proxy.port}
    storage file_system {proxy.folder}/storage
"""
    block = replace_words(read_block("operate.md", "caddy", "reverse_proxy"), {CONSOLE: console})
    assert block.startswith("{\n")
    (proxy.folder / "Caddyfile").write_text(own + block.removeprefix("{\n"))
    proxy.authority = proxy.folder / "storage/pki/authorities/local/root.crt"
    return ["caddy", "run", "--config", str(proxy.folder / "Caddyfile"), "--adapter", "caddyfile"]


def write_haproxy(proxy: Proxy, console: str) -> list[str]:
    words = {CONSOLE: console, "bind :443": f"bind 127.0.0.1:{proxy.port}", "/etc/haproxy/": f"{proxy.folder}/"}
    block = replace_words(read_block("operate.md", "haproxy", "backend"), words)
    around = "global\n    log stdout format raw local0 debug\ndefaults\n    log global\n    option httplog\n"
    (proxy.folder / "haproxy.cfg").write_text(around + block)
    return ["haproxy", "-db", "-f", str(proxy.folder / "haproxy.cfg")]


def write_apache(proxy: Proxy, console: str) -> list[str]:
    words = {
        CONSOLE: console,
        "*:443": f"127.0.0.1:{proxy.port}",
        "/etc/ssl/": f"{proxy.folder}/",
        "/var/log/apache2/": f"{proxy.folder}/",
    }
    block = replace_words(read_block("operate.md", "apache", "ProxyPass"), words)
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in APACHE_MODULES)
    around = f"""ServerRoot {proxy.folder}
ServerName localhost
PidFile {proxy.folder}/pid
DefaultRuntimeDir {proxy.folder}
ErrorLog {proxy.folder}/error.log
LogLevel info
Listen 127.0.0.1:{proxy.port}
StartServers 1
MinSpareThreads 1
{modules}
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\"" combined
{block}"""
    (proxy.folder / "apache.conf").write_text(around)
    return ["apache2", "-DFOREGROUND", "-d", str(proxy.folder), "-f", str(proxy.folder / "apache.conf")]


Writer = Callable[[Proxy, str], list[str]]  # it writes the configuration for a console's address, and returns the command
PROXIES: dict[str, Writer] = {
    "nginx": write_nginx,
    "caddy": write_caddy,
    "haproxy": write_haproxy,
    "apache": write_apache,
}


# The console below a path: nginx leaves the path on, or removes it.
BELOW = {"location / ": f"location {PREFIX}/ ", "location /hook/ ": f"location {PREFIX}/hook/ "}
PREFIXED: dict[str, Callable[[Proxy, str], list[str]]] = {
    "leaves": lambda proxy, console: write_nginx(proxy, console, BELOW),
    "removes": lambda proxy, console: write_nginx(
        proxy,
        console,
        {"proxy_pass http://windlass;": f"rewrite ^{PREFIX}(/.*) $1 break; proxy_pass http://windlass;", **BELOW},
    ),
}


@contextmanager
def run_proxies(folder: Path, console_port: int, writers: dict[str, Writer]) -> Iterator[dict[str, Proxy]]:
    """Run proxies before the console at this port of 127.0.0.1, and yield them by name when they answer."""
    console = f"127.0.0.1:{console_port}"
    with ExitStack() as stack:
        started = {name: start_proxy(stack, folder / name, write, console) for name, write in writers.items()}
        for name in writers:
            tries = itertools.count()
            while not is_running(*started[name]):  # somebody else may have taken the port meanwhile
                number = next(tries)
                assert number < 3, f"{name} has ended: {started[name][0].read_logs()[-2000:]}"
                started[name] = start_proxy(stack, folder / f"{name}{number}", writers[name], console)
        yield {name: proxy for name, (proxy, _) in started.items()}


def is_running(proxy: Proxy, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until the proxy answers, or has ended."""
    eventually(lambda: process.poll() is not None or proxy.is_up(), within=30, what=f"{proxy.name} answers")
    return process.poll() is None


def start_proxy(stack: ExitStack, home: Path, write: Writer, console: str) -> tuple[Proxy, "subprocess.Popen[bytes]"]:
    """Start a proxy on a free port. It is stopped with `stack`."""
    home.mkdir()
    proxy = Proxy(home.name, home, write_certificate(home))
    command = write(proxy, console)
    program = find_program(command[0])
    assert program, f"{command[0]} is missing; install the packages of scripts/test.sh"
    environment = {"HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    process = start_process([program, *command[1:]], home / "output.log", environment)
    stack.callback(stop_process, process)
    return proxy, process
