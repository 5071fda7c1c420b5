"""A SOCKS proxy (RFC 1928) on the loopback of a network namespace without links. It connects from this process's network."""

import ctypes
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from tests.harness.netns import NetworkSpace

CLONE_NEWNET = 0x40000000  # setns(2)
VERSION, NO_AUTHENTICATION, CONNECT, IPV4, NAME = 5, 0, 1, 1, 3
SUCCEEDED, REFUSED = 0, 5


class _Tunnel(socketserver.StreamRequestHandler):
    """Handles one connection, without authentication. Browsers send even an IP address as a name."""

    request: socket.socket

    def handle(self) -> None:
        greeting = self.rfile.read(2)
        if not greeting:  # the browser closed before it sent a request
            return
        self.rfile.read(greeting[1])
        self.wfile.write(bytes([VERSION, NO_AUTHENTICATION]))
        wanted = self.rfile.read(5)
        if wanted[:4] != bytes([VERSION, CONNECT, 0, NAME]):
            raise AssertionError(f"The browser asked for something else than a connection to a host by its name: {wanted!r}")
        address = self.rfile.read(wanted[4]).decode(), int.from_bytes(self.rfile.read(2))
        try:
            there = socket.create_connection(address)
        except OSError:
            self._answer(REFUSED)
            return
        self._answer(SUCCEEDED)
        with there:
            back = threading.Thread(target=_pass_on, args=(there, self.request), daemon=True)
            back.start()
            _pass_on(self.request, there)
            back.join()

    def _answer(self, code: int) -> None:
        self.wfile.write(bytes([VERSION, code, 0, IPV4]) + bytes(6))


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), _Tunnel, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Copy everything up to the end of `source`, and the end too. If one side breaks off, shut down both."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with suppress(OSError):
            end.shutdown(how)


def _listen_in(space: NetworkSpace) -> socket.socket:
    def listen() -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{space.pid}/ns/net", "rb") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return socket.create_server(("127.0.0.1", 0))

    with ThreadPoolExecutor(1) as lone:  # only the thread moves, and a socket stays in the namespace where it was made
        return lone.submit(listen).result()


@contextmanager
def run_socks(space: NetworkSpace) -> Iterator[str]:
    """Run the proxy and yield its address in `space`, such as "socks5://127.0.0.1:1080". Connections start in this process."""
    with _listen_in(space) as listener, _Proxy(listener) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"socks5://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            proxy.shutdown()
