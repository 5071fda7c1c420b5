"""Measures each page on a full database: `python -m bench.page_times [--rounds N] [--only WORD] [-- --calls 10000 …]`.

It prints queries and server times for an administrator and for a user with roles on single clusters, using Django's test client
in this process. An empty database is filled first; arguments after `--` are sizes for `manage.py fill_database`. The database
is a new SQLite file. `python -m tests.harness.postgres -- python -m bench.page_times` uses PostgreSQL. DATABASE_URL with
WINDLASS_ENCRYPTION_KEY uses a database that was filled before.
"""

import argparse
import base64
import logging
import os
import statistics
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models import Count
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clusters.access import scope_visible
from clusters.models import Application, AuditEntry, Cluster, Node, Service
from console.fleet.people import ADMINISTRATOR, PART_DEPLOYER
from triggers.models import Action, DeliveryLine, Trigger, TriggerCall

LIMIT_MS, LIMIT_QUERIES = 150, 12
STREAMED = 64 * 1024  # bytes of an export to wait for


@dataclass(frozen=True)
class Figures:
    """The figures of one page, with times in ms."""

    queries: int
    cpu: float  # the least CPU time of this process, which means more than the clock if others use the machine
    fastest: float
    median: float
    worst: float
    kilobytes: float

    @property
    def mark(self) -> str:
        return "" if self.median < LIMIT_MS and self.queries <= LIMIT_QUERIES else " <-"


def main() -> None:
    options = read_options()
    logging.disable(logging.CRITICAL)
    call_command("migrate", verbosity=0)
    if not Cluster.objects.exists():
        call_command("fill_database", *options.sizes)
    print(f"{connection.vendor}, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds; times in ms")
    print(f"{'page':46} {'queries':>7} {'cpu':>7} {'least':>7} {'median':>7} {'worst':>7} {'kB':>6}")
    for name in (ADMINISTRATOR, PART_DEPLOYER):
        print(f"\nas {name}")
        measure_pages(User.objects.get(username=name), options)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="only pages whose name contains this word")
    parser.add_argument("sizes", nargs="*", help="options of fill_database, after --")
    return parser.parse_args()


def measure_pages(user: User, options: argparse.Namespace) -> None:
    client = Client()
    client.force_login(user)
    client.get("/search/")  # the first page loads the templates
    for page in list_pages(user):
        if options.only in page.name:
            found = measure(client, page, options.rounds)
            times = f"{found.cpu:7.1f} {found.fastest:7.1f} {found.median:7.1f} {found.worst:7.1f}"
            print(f"{page.name:46} {found.queries:7} {times} {found.kilobytes:6.0f}{found.mark}", flush=True)


@dataclass(frozen=True)
class Page:
    """A page to measure. `part` is the id of the element that htmx requests, or empty for the whole page."""

    name: str
    address: str
    part: str = ""


def list_pages(user: User) -> list[Page]:
    """Return every page that shows rows: on the object with the most rows, with filters and sort orders, and its last page."""

    def seen(model: Any) -> Any:
        return scope_visible(model.objects.all(), user)

    plain = seen(Application).filter(source="compose").exclude(status="absent")
    largest = plain.order_by("-wanted").first()
    stack = seen(Application).filter(source="stack").order_by("-wanted").first()
    rare = plain.order_by("-pk").first()
    service = seen(Service).filter(application__source="compose").order_by("-replicas").first()
    swarm_service = seen(Service).filter(application__source="stack").order_by("-replicas").first()
    cluster = seen(Cluster).filter(swarm_manager=True).first() or seen(Cluster).first()
    quiet = seen(Cluster).annotate(number=Count("applications")).order_by("number").first()
    node = seen(Node).order_by("-pk").first()
    trigger = seen(Trigger).filter(application=largest).first() or seen(Trigger).first()
    scaling = seen(Trigger).filter(action=Action.SCALING).first()
    calls = seen(TriggerCall)
    call = calls.filter(state="succeeded").order_by("-queued_at").first()
    since = call.queued_at - timedelta(days=60)
    old = TriggerCall.objects.filter(queued_at__lte=since).latest("queued_at")
    before = f"{int(old.queued_at.timestamp() * 1_000_000)}.{old.pk.hex}"
    cursor = quote(base64.b64encode(f"p={quote(str(since))}".encode()).decode())
    application_page, service_page = f"/applications/{largest.pk}/", f"/services/{service.pk}/"
    name = quote(largest.name)
    pages = [
        Page("overview", "/"),
        Page("overview, one cluster", f"/?cluster={cluster.uid}"),
        Page("overview, polled", "/?cluster=all", "overview"),
        Page("running calls, polled", "/calls/running/", "running-calls"),
        Page("applications", "/applications/"),
        Page("applications, polled", "/applications/", "list"),
        Page("applications, last page", "/applications/?page=999"),
        *(Page(f"applications, by {sort}", f"/applications/?sort={sort}") for sort in ("-name", "created", "-updated")),
        Page("applications, searched", "/applications/?filtered=1&q=billing"),
        Page("applications, hide online", "/applications/?filtered=1&hide_online=1"),
        Page("application", application_page),
        *(
            Page(f"application, {tab}", f"{application_page}?tab={tab}")
            for tab in ("containers", "logs", "activity", "configuration")
        ),
        Page("application, containers polled", f"{application_page}?tab=containers", "state"),
        Page("application, state polled", application_page, "state"),
        Page("application, few calls, activity", f"/applications/{rare.pk}/?tab=activity"),
        *([Page("application, tasks", f"/applications/{stack.pk}/?tab=tasks")] if stack else []),
        Page("application, redeploy", f"{application_page}redeploy/"),
        Page("application, create trigger", f"{application_page}triggers/new/"),
        Page("services", "/services/"),
        Page("services, polled", "/services/", "list"),
        Page("services, last page", "/services/?page=999"),
        Page("services, searched", "/services/?q=web"),
        Page("service", service_page),
        Page("service, polled", service_page, "state"),
        Page("service, containers, last page", f"{service_page}?page=999"),
        Page("service, activity", f"{service_page}?tab=activity"),
        *([Page("service, tasks", f"/services/{swarm_service.pk}/")] if swarm_service else []),
        Page("service, scale", f"{service_page}scale/"),
        Page("clusters", "/clusters/"),
        Page("clusters, polled", "/clusters/", "list"),
        Page("cluster", f"/clusters/{cluster.uid}/"),
        Page("cluster, polled", f"/clusters/{cluster.uid}/", "state"),
        Page("nodes", "/nodes/"),
        *([Page("node", f"/nodes/{node.pk}/"), Page("node, polled", f"/nodes/{node.pk}/", "state")] if node else []),
        Page("triggers", "/triggers/"),
        Page("triggers, last page", "/triggers/?page=999"),
        Page("triggers, searched", f"/triggers/?q={name}"),
        *([Page("trigger, test call", f"/triggers/{scaling.pk}/call/")] if scaling else []),
        Page("trigger, delete", f"/triggers/{trigger.pk}/delete/"),
        Page("activity", "/activity/"),
        Page("activity, polled", "/activity/", "list"),
        *(
            Page(f"activity, {query}", f"/activity/?{query}")
            for query in (
                "state=active",
                "state=queued",
                "state=failed",
                "state=rejected",
                "source=poll",
                "source=api",
                "action=scaling",
                "range=hour",
                "range=week",
                "state=failed&source=poll&action=scaling",
                "state=rolled_back&range=hour",
            )
        ),
        Page("activity, much called application", f"/activity/?q={name}"),
        Page("activity, little called application", f"/activity/?q={quote(rare.name)}"),
        Page("activity, application and state", f"/activity/?q={quote(rare.name)}&state=rolled_back"),
        Page("activity, applications of a team", "/activity/?q=billing&state=rejected"),
        Page("activity, no such application", "/activity/?q=nosuchname"),
        Page("activity, small cluster", f"/activity/?cluster={quiet.uid}"),
        Page("activity, small cluster, failed", f"/activity/?cluster={quiet.uid}&state=failed"),
        Page("activity, 60 days ago", f"/activity/?cluster=all&before={before}"),
        Page("activity, failed 60 days ago", f"/activity/?state=failed&before={before}"),
        Page("activity, export begins", "/activity/export/"),
        Page("activity, failed, export begins", "/activity/export/?state=failed"),
        Page("call", f"/calls/{call.pk}/"),
        Page("call, polled", f"/calls/{call.pk}/", "call"),
        *(Page(f"search {word}", f"/search/?q={quote(word)}") for word in ("", "web", "billing web", "redeploy billing")),
        Page("palette", "/search/?q=web", "palette-results"),
    ]
    if user.has_perm("clusters.delete_cluster"):
        pages += [Page(f"cluster, {act}", f"/clusters/{cluster.uid}/{act}/") for act in ("edit", "delete")]
    if user.has_perm("triggers.view_delivery"):
        line = DeliveryLine.objects.filter(trigger__isnull=False).select_related("delivery").latest("pk")
        pages += [
            Page("registries", "/registries/"),
            Page("registry", f"/registries/{line.delivery.registry_id}/"),
            Page("registry, subscriptions", f"/registries/{line.delivery.registry_id}/?tab=subscriptions"),
            Page("deliveries", "/deliveries/"),
            Page("deliveries, polled", "/deliveries/", "list"),
            Page("deliveries, by decision", "/deliveries/?decision=bad_signature"),
            Page("deliveries, searched", "/deliveries/?q=billing"),
            Page("deliveries, no such image", "/deliveries/?q=nosuchname"),
            Page("delivery", f"/deliveries/{line.delivery_id}/"),
        ]
    if user.has_perm("clusters.view_auditentry"):
        entry = AuditEntry.objects.order_by("time")[1000]
        pages += [
            Page("audit", "/audit/"),
            Page("audit, by user", "/audit/?user=part.deployer"),
            Page("audit, by action", "/audit/?action=grant.add"),
            Page("audit, by user and action", "/audit/?user=part.deployer&action=grant.add"),
            Page("audit, one cluster", f"/audit/?cluster={cluster.uid}"),
            Page("audit, of days", "/audit/?cluster=all&since=2020-01-01&until=2030-01-01"),
            Page("audit, oldest", f"/audit/?before={entry.pk}"),
            Page("audit, export begins", "/audit/export/"),
            *(
                Page(f"admin, {name}", f"/admin/{name}/")
                for name in (
                    "triggers/triggercall",
                    "triggers/triggercallevent",
                    "triggers/trigger",
                    "clusters/auditentry",
                    "clusters/application",
                    "clusters/service",
                    "clusters/container",
                    "clusters/task",
                )
            ),
            Page("users", "/users/"),
            Page("user", f"/users/{user.pk}/"),
        ]
    pages += [
        Page("api clusters", "/api/v1/clusters/"),
        Page("api applications", "/api/v1/applications/"),
        Page("api services", "/api/v1/services/"),
        Page("api services, last", "/api/v1/services/?offset=1900"),
        Page("api service", f"/api/v1/services/{(swarm_service or service).pk}/"),
        Page("api triggers", "/api/v1/triggers/"),
        Page("api calls", "/api/v1/calls/"),
        Page("api calls, application", f"/api/v1/calls/?application={largest.pk}"),
        Page("api calls, trigger", f"/api/v1/calls/?trigger={trigger.pk}"),
        *(Page(f"api calls, {state}", f"/api/v1/calls/?state={state}") for state in ("queued", "failed", "succeeded")),
        Page("api calls, 60 days ago", f"/api/v1/calls/?cursor={cursor}"),
        Page("api call", f"/api/v1/calls/{call.pk}/"),
    ]
    return pages


def measure(client: Client, page: Page, rounds: int) -> Figures:
    """Measure a page after one request that warms up. Only the first 64 kB of a streamed page count."""
    headers = {"HX-Request": "true", "HX-Target": page.part} if page.part else {}

    def ask() -> int:
        response = client.get(page.address, headers=headers)
        if response.status_code not in (200, 286):
            raise SystemExit(f"{page.address} answers with status {response.status_code}.")
        if not response.streaming:
            return len(response.content)
        streamed: Any = response
        size, parts = 0, iter(streamed.streaming_content)
        while size < STREAMED and (part := next(parts, b"")):
            size += len(part)
        return size

    with CaptureQueriesContext(connection) as queries:
        size = ask()
    count = len(queries)  # the next request resets them
    times, cpu = [], []
    for _ in range(rounds):
        started, used = time.perf_counter(), time.process_time()
        ask()
        times.append((time.perf_counter() - started) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    return Figures(count, min(cpu), min(times), statistics.median(times), max(times), size / 1024)


if __name__ == "__main__":
    main()
