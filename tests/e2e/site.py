"""A web server of the console inside the test process: filled with rows of every kind, with an engine in memory.

For scenarios about pages alone. The browser's event loop runs in the test's thread, where Django refuses its database: what
a test does with rows goes through `Site.do`."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from django.test.utils import setup_databases, teardown_databases
from pytest_django.live_server_helper import LiveServer

from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.models import Container, Service
from clusters.registries import PushPermission
from clusters.roles import Role
from clusters.tests.users import make_user
from console.pages.account.fresh import CONFIRMED_AT
from console.pages.tests.test_every_page import OPEN, POSTED, SENT, console_url_names
from console.sessions import SessionStore
from console.tests.fleet import Fleet
from triggers.models import CallEvidence, TriggerCall

Result = TypeVar("Result")
PASSWORD = "a password for tests"
NOBODY = "nobody"  # signed in, without a role
READERS = ("admin", *Role.values, NOBODY)
ENVIRONMENT = {"GREETING": "hello", "DATABASE_PASSWORD": "4711-is-the-secret-of-the-environment"}
# Every terminal colour, plain and bold: all must be readable.
LOGS = tuple(f"\x1b[{code}mline in {code}\x1b[1m and bold\x1b[0m" for code in (0, *range(30, 38), *range(90, 98)))
CONNECTING = (
    "console.pages.shared.live",
    "console.process.local_engine",
    "console.pages.shared.logs.log_panel",
    "clusters.inventory",
)  # modules that open engines
PIECES = {"running_calls", "trigger_repositories"}  # of a page, fetched alone
PAGE_NAMES = sorted(console_url_names() - POSTED - OPEN - SENT - PIECES)  # every URL that a GET shows as a page


class Site:
    """A console. After `fill`, `fleets` has rows of everything, on a plain engine and a Swarm; `engine` answers every page."""

    def __init__(self, url: str, engine: FakeEngine) -> None:
        self.url = url
        self.engine = engine
        self.fleets: list[Fleet] = []
        self.sessions = self.do(self._make_readers)

    @staticmethod
    def do(work: Callable[[], Result]) -> Result:
        """Run `work` in a thread of its own, close its database connection, and return its result."""

        def work_and_close() -> Result:
            try:
                return work()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as executor:
            return executor.submit(work_and_close).result()

    def _make_readers(self) -> dict[str, str]:
        """Return a session for each reader: an administrator who is staff, and one of each role for all clusters."""
        User.objects.create_superuser("admin", password=PASSWORD)
        sessions = {}
        for name in READERS:
            user = User.objects.filter(username=name).first() or make_user(
                name, Role(name) if name in Role.values else None, password=PASSWORD
            )
            client = Client()
            client.force_login(user)
            sessions[name] = client.session.session_key
        return sessions

    def fill(
        self,
        make: Callable[[], list[Fleet]] | None = None,
        environment: dict[str, str] = ENVIRONMENT,
        labels: dict[str, str] | None = None,
        logs: tuple[str, ...] = LOGS,
    ) -> None:
        """Fill the site. `environment`, `labels` and `logs` are those of every container."""
        self.fleets = self.do(make or make_fleets)
        variables = [f"{name}={value}" for name, value in environment.items()]
        self.do(lambda: self._run_containers(variables, labels or {}, logs))

    def _run_containers(self, environment: list[str], labels: dict[str, str], logs: tuple[str, ...]) -> None:
        """Run a container on the engine for each container's row."""
        for container in Container.objects.all():
            name = f"container-{container.pk}"
            known = self.engine.run(name, "shop:1", Env=environment, Labels=labels)
            self.engine.write_log(name, *logs)
            Container.objects.filter(pk=container.pk).update(container_id=known)

    def list_paths(self, name: str, alike: tuple[str, ...] = ()) -> list[str]:
        """Return the paths of the page `name` for an object of each fleet; of the first alone if the name begins like one of
        `alike`."""
        fleets = self.fleets[:1] if name.startswith(alike) else self.fleets
        return list(dict.fromkeys(self.do(lambda: [fleet.pages[name] for fleet in fleets])))

    def cookies(self, reader: str) -> list[Any]:
        """Return the cookie of the reader's session, who has just confirmed who they are."""
        self.do(lambda: self._confirm(self.sessions[reader]))
        return [{"name": settings.SESSION_COOKIE_NAME, "value": self.sessions[reader], "url": self.url}]

    @staticmethod
    def _confirm(key: str) -> None:
        session = SessionStore(key)
        session[CONFIRMED_AT] = time.time()
        session.save()

    def secrets(self) -> set[str]:
        """Return what only some readers may see: the secrets of triggers and of containers' environments."""
        triggers = [trigger for fleet in self.fleets for trigger in (fleet.trigger, fleet.scaling_trigger)]
        registries = [fleet.registry for fleet in self.fleets]
        kept = {secret for one in registries for secret in (one.hook_token, one.password, one.signing_secret)}
        kept |= {fleet.channel.values["secret"] for fleet in self.fleets}
        return {trigger.secret for trigger in triggers} | kept | {ENVIRONMENT["DATABASE_PASSWORD"]}


def make_fleets() -> list[Fleet]:
    fleets = [Fleet(), Fleet(swarm=True)]
    for fleet in fleets:
        add_failure(fleet)
        add_previous_image(fleet)
    return fleets


def add_failure(fleet: Fleet) -> None:
    """Give the fleet's call the evidence of a failure."""
    image, line = "shop:2", ["2026-11-30T10:00:00.000000001Z", "stderr", "fatal: no disk"]
    failed = {"name": "shop_web_1", "service": fleet.service.name, "image": image, "cause": "shop_web_1 exited (exit code 3)."}
    CallEvidence.objects.get_or_create(call=fleet.call, part_id="1" * 64, defaults={**failed, "exit_code": 3, "lines": [line]})
    failure = {"container": "shop_web_1", "image": image, "imageId": "", "firstErrorLine": line[2], "failed": 2}
    TriggerCall.objects.filter(pk=fleet.call.pk).update(failure=failure)


def add_previous_image(fleet: Fleet) -> None:
    """Let the fleet's call know an image that its service ran before, with what both images say about themselves."""
    facts = {"version": "1.4", "revision": "4f1c" * 10, "source": "https://github.com/team/app"}
    digest = "sha256:" + "9" * 64
    ran = {"image": "shop:1", "images": {digest: 2}, "running": 2, "facts": facts, "digests": [f"shop@{digest}"]}
    before = {"services": {fleet.service.name: ran | ({"mode": "replicated"} if fleet.swarm else {})}}
    TriggerCall.objects.filter(pk=fleet.call.pk).update(before=before)
    built = {"created": "2026-11-30T09:00:00+00:00"}
    Service.objects.filter(pk=fleet.service.pk).update(image_facts=facts | built | {"version": "1.5", "revision": "77aa" * 10})


def answer_push_permission(repository: str) -> PushPermission:
    """Answer as a registry that accepts pushes to everything but Docker Hub."""
    if repository.startswith("docker.io/"):
        return PushPermission(False, "No registry is stored for docker.io. Add it with an account that may push.")
    return PushPermission(True)


@contextmanager
def run_site(blocker: Any) -> Iterator[Site]:
    """Serve a site with a database of its own. `blocker` is pytest-django's, which also blocks the server's threads."""
    own_name = {"NAME": str(settings.DATA_DIR / "site.sqlite3")}
    engine = FakeEngine()
    engine.add_image("shop:1")
    with ExitStack() as patches:
        patches.enter_context(blocker.unblock())
        patches.enter_context(patch.dict(connection.settings_dict["TEST"], own_name))
        patches.enter_context(patch("triggers.calls.nudges.publish_nudge"))
        patches.enter_context(patch("triggers.pushes.subscriptions.find_push_permission", answer_push_permission))
        for module in CONNECTING:
            patches.enter_context(patch(f"{module}.EngineClient", lambda *_args, **_kwargs: engine))
        databases = setup_databases(verbosity=0, interactive=False)
        server = LiveServer("127.0.0.1")
        try:
            yield Site(server.url, engine)
        finally:
            server.stop()
            teardown_databases(databases, verbosity=0)
