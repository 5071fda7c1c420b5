"""Requests a service by its name until SIGTERM: `python requester.py HOST PORT`, in a container.

It behaves like a reverse proxy: it resolves the name for each request, and tries the next address if one takes no connection or
ends it without a response. A request is lost if no address responds. It prints two lines of JSON: an empty object after the
first response, and at the end `answered`, `lost` and `slowest`, the seconds of the slowest response.

It imports nothing of the project, because the container has only the machine's Python.
"""

import http.client
import json
import random
import signal
import socket
import sys
import threading
import time

THREADS = 8
PAUSE = 0.04  # seconds between two requests of a thread, to leave the cores to the programs that are measured
PATIENCE = 2.0  # seconds for an address to take the connection, and to respond


class Tally:
    def __init__(self) -> None:
        self.answered = self.lost = 0
        self.slowest = 0.0
        self._lock = threading.Lock()

    def add(self, is_answered: bool, seconds: float) -> None:
        with self._lock:
            if is_answered:
                self.answered += 1
                self.slowest = max(self.slowest, seconds)
            else:
                self.lost += 1


def request_service(host: str, port: int) -> bool:
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror:
        return False
    addresses = sorted({str(entry[4][0]) for entry in found})
    random.shuffle(addresses)
    return any(request_address(address, port) for address in addresses)


def request_address(address: str, port: int) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def main() -> None:
    host, port = sys.argv[1], int(sys.argv[2])
    while not request_service(host, port):
        time.sleep(0.1)
    print("{}", flush=True)
    stopping, tally = threading.Event(), Tally()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())

    def work() -> None:
        while not stopping.wait(PAUSE):
            started = time.monotonic()
            tally.add(request_service(host, port), time.monotonic() - started)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"answered": tally.answered, "lost": tally.lost, "slowest": round(tally.slowest, 3)}), flush=True)


if __name__ == "__main__":
    main()
