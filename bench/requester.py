"""Requests a service by its name without a pause, until SIGTERM: `python requester.py HOST PORT`, in a container.

Each request is made as a reverse proxy makes it: the name is resolved anew, and where an address takes no connection or ends it
without an answer the next one is asked. A request is lost when no address of the name answers. Prints two lines of JSON: an
empty one when it is answered first, and at the end `answered`, `lost`, and `slowest`, the seconds of the slowest answer.

It imports nothing of the project: the container has the machine's Python alone.
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
PAUSE = 0.04  # seconds between two requests of a thread: the machine's cores are for those who are measured
PATIENCE = 2.0  # seconds for an address to take the connection, and to answer


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


def ask(host: str, port: int) -> bool:
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror:
        return False
    addresses = sorted({str(entry[4][0]) for entry in found})
    random.shuffle(addresses)
    return any(ask_address(address, port) for address in addresses)


def ask_address(address: str, port: int) -> bool:
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
    while not ask(host, port):
        time.sleep(0.1)
    print("{}", flush=True)
    stopping, tally = threading.Event(), Tally()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())

    def work() -> None:
        while not stopping.wait(PAUSE):
            started = time.monotonic()
            tally.add(ask(host, port), time.monotonic() - started)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"answered": tally.answered, "lost": tally.lost, "slowest": round(tally.slowest, 3)}), flush=True)


if __name__ == "__main__":
    main()
