"""A link for one call, called by two hundred at once on a real console: one call is made, and all others are told why not."""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.harness.console import RunningConsole, run_console
from tests.harness.parts import ask
from tests.harness.postgres import run_postgres_server

CALLERS = 200
MAKE_LINK = """
from clusters.models import Application, Cluster
from triggers.models import Trigger, TriggerCall
from triggers.selectors import build_trigger_link
cluster, _ = Cluster.objects.get_or_create(name="unreachable", defaults={{"url": "unix:///nonexistent.sock"}})
application, _ = Application.objects.get_or_create(cluster=cluster, name="shop", source="compose")
link = build_trigger_link(Trigger.objects.create(application=application, action="redeploy", {option}), "")
print(TriggerCall.objects.count(), link)
"""
COUNT = """
from triggers.models import Trigger, TriggerCall
print(TriggerCall.objects.count(), *Trigger.objects.values_list("calls_left", flat=True))
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def console(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with ExitStack() as stack:
        database = {} if request.param == "sqlite" else {"DATABASE_URL": stack.enter_context(run_postgres_server()).url}
        folder = tmp_path_factory.mktemp(request.param) / "data"
        yield stack.enter_context(run_console(folder, "unix:///nonexistent.sock", **database))


def call_at_once(console: RunningConsole, link: str) -> Counter[tuple[int, str]]:
    """Call the link over CALLERS connections that are open already. Return the answers' statuses and reasons."""
    address = urlsplit(console.url)
    start = threading.Barrier(CALLERS)

    def call() -> tuple[int, str]:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
        connection.connect()
        start.wait()
        answer = ask(connection, link)
        connection.close()
        return answer.status, answer.body.get("reason", "")

    with ThreadPoolExecutor(CALLERS) as callers:
        return Counter(done.result() for done in [callers.submit(call) for _ in range(CALLERS)])


@pytest.mark.parametrize(
    ("option", "accepted", "refused"), [("calls_left=1", 1, (403, "expired")), ("calls_a_minute=3", 3, (429, "rate"))]
)
def test_a_limit_is_exact_however_many_call_at_once(
    console: RunningConsole, option: str, accepted: int, refused: tuple[int, str]
) -> None:
    before, link = console.manage("shell", "-c", MAKE_LINK.format(option=option)).splitlines()[-1].split()
    answers = call_at_once(console, link)
    assert answers == {(200, ""): accepted, refused: CALLERS - accepted}
    after, *left = console.manage("shell", "-c", COUNT).splitlines()[-1].split()
    assert int(after) - int(before) == accepted
    assert left[0] in ("0", "None")
