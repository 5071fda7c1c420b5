"""Many wrong passwords at once: few are checked, and nobody else waits long."""

import contextlib
import re
import sqlite3
import threading
import time
from collections import Counter

import requests

from console.sign_in_locks import FAILURES_OF_NAME, LOCK_SPAN
from tests.harness.console import PASSWORD
from tests.hostile.stage import Stage

GUESSERS = 25
GUESSER, OTHER = "203.0.113.9", "203.0.113.10"  # the console trusts what the loopback says of them
SECONDS = 30.0


def post_sign_in(url: str, address: str, password: str) -> requests.Response:
    session = requests.Session()
    session.headers["X-Forwarded-For"] = address
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', session.get(f"{url}/login/", timeout=SECONDS).text)
    assert token
    fields = {"username": "admin", "password": password, "csrfmiddlewaretoken": token[1]}
    return session.post(f"{url}/login/", fields, timeout=SECONDS, allow_redirects=False)


def count_failures(stage: Stage) -> int:
    with contextlib.closing(sqlite3.connect(stage.console.data_dir / "windlass.sqlite3", timeout=30)) as database:
        query = "SELECT count(*) FROM axes_accessfailurelog WHERE ip_address = ?"
        return int(database.execute(query, [GUESSER]).fetchone()[0])


def test_of_wrong_passwords_at_once_few_are_checked_and_the_right_one_from_elsewhere_gets_in(stage: Stage) -> None:
    """Whoever is told that others are signing in tries again, until the password is checked or the name is locked."""
    url, deadline = stage.console.url, time.monotonic() + SECONDS
    answers: Counter[str] = Counter()
    begun = threading.Barrier(GUESSERS + 1)

    def guess(number: int) -> None:
        begun.wait()
        while time.monotonic() < deadline:
            response = post_sign_in(url, GUESSER, f"guess {number}")
            locked = response.status_code == 429 and int(response.headers["Retry-After"]) > LOCK_SPAN.total_seconds() / 2
            if locked or response.status_code != 429:
                answers["locked" if locked else f"{response.status_code}"] += 1
                return

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(GUESSERS)]
    for guesser in guessers:
        guesser.start()
    begun.wait()
    assert post_sign_in(url, OTHER, PASSWORD).status_code == 302
    for guesser in guessers:
        guesser.join()
    assert count_failures(stage) == FAILURES_OF_NAME
    # The failure that locks is answered with the lock.
    assert answers == {"200": FAILURES_OF_NAME - 1, "locked": GUESSERS - FAILURES_OF_NAME + 1}
    assert post_sign_in(url, GUESSER, PASSWORD).status_code == 429
    assert post_sign_in(url, OTHER, PASSWORD).status_code == 302
