"""`manage.py fill_database`: writes a made-up fleet into an empty database, to measure pages."""

from argparse import ArgumentParser
from random import Random
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from clusters.models import Cluster
from console.fleet.calls import Calls
from console.fleet.inventory import Inventory
from console.fleet.people import ADMINISTRATOR, PART_DEPLOYER, People
from console.fleet.pushes import Pushes

SIZES = {
    "clusters": (12, "engines; every third is a Swarm"),
    "nodes": (60, "machines of the Swarms"),
    "applications": (200, "projects and stacks"),
    "services": (2_000, "parts of the applications, at least one each"),
    "containers": (20_000, "containers on the plain engines"),
    "tasks": (10_000, "tasks of the Swarms, including past ones"),
    "triggers": (800, "triggers"),
    "calls": (1_000_000, "calls over 90 days, most of them recent"),
    "calls-with-events": (20_000, "newest calls that have events"),
    "audit-entries": (100_000, "audit entries over 90 days"),
    "deliveries": (10_000, "deliveries from registries; the default is the number that is kept"),
    "users": (60, "users, a third of whom only have roles on single clusters"),
}


class Command(BaseCommand):
    help = "Fill a database that has no cluster yet with a made-up fleet. No engine is contacted, and nothing runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, (size, what) in SIZES.items():
            parser.add_argument(f"--{name}", type=read_row_count, default=size, metavar="N", help=f"{what} (default: {size})")
        parser.add_argument("--seed", type=int, default=1, help="each seed makes another fleet (default: 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        if Cluster.objects.exists():
            raise CommandError(
                "This database already has clusters, so nothing was written. "
                "Set DATABASE_URL to an empty database and run manage.py migrate."
            )
        if not 1 <= options["clusters"] <= options["applications"] <= options["services"]:
            raise CommandError(
                "Give at least 1 cluster, no fewer applications than clusters, and no fewer services than applications."
            )
        if options["users"] < 2:
            raise CommandError(f"Give at least 2 users: {ADMINISTRATOR} and {PART_DEPLOYER}.")
        prepare_connection()
        self._fill(options)
        if options["verbosity"]:
            self.stdout.write(
                f"The database is filled. Two of the users are {ADMINISTRATOR}, and {PART_DEPLOYER} with roles on single "
                "clusters. Set their passwords with manage.py changepassword."
            )

    def _fill(self, options: dict[str, Any]) -> None:
        inventory = Inventory(Random(options["seed"]), timezone.now())  # noqa: S311 - made-up data, the same each time
        inventory.add_clusters(options["clusters"], options["nodes"])
        inventory.add_applications(options["applications"], options["services"])
        inventory.add_containers(options["containers"], options["tasks"])
        people = People(inventory)
        people.add_users(options["users"])
        people.add_triggers(options["triggers"])
        Calls(people, options["calls"], options["calls_with_events"]).add()
        people.add_audit_entries(options["audit_entries"])
        pushes = Pushes(people)
        pushes.add_subscriptions()
        pushes.add_deliveries(options["deliveries"])
        settle_database()


def read_row_count(text: str) -> int:
    """Raise ValueError, which argparse reports, unless the text is a whole number that is not negative."""
    size = int(text)
    if size < 0:
        raise ValueError
    return size


def prepare_connection() -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA cache_size = -200000")  # KiB; the ids are random, so their index is written all over


def settle_database() -> None:
    """Do what PostgreSQL's autovacuum does within minutes after so many new rows. A transaction cannot vacuum."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
