"""`manage.py fill_database`: a made-up fleet in an empty database, to measure pages with."""

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
    "services": (2_000, "their parts; at least one an application"),
    "containers": (20_000, "of the plain engines"),
    "tasks": (10_000, "of the Swarms, with former ones"),
    "triggers": (800, "links"),
    "calls": (1_000_000, "over 90 days, most in the last ones"),
    "calls-with-events": (20_000, "the newest"),
    "audit-entries": (100_000, "over 90 days"),
    "deliveries": (10_000, "messages of registries, as many as are kept"),
    "users": (60, "of whom one third has roles on single clusters alone"),
}


class Command(BaseCommand):
    help = "Fill a database that has no cluster yet with a made-up fleet. Nothing of it runs; no engine is asked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name, (size, what) in SIZES.items():
            parser.add_argument(f"--{name}", type=read_size, default=size, metavar="N", help=f"{what} (default: {size})")
        parser.add_argument("--seed", type=int, default=1, help="another one makes another fleet (default: 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        if Cluster.objects.exists():
            raise CommandError(
                "This database holds clusters already; nothing was written. Give DATABASE_URL of an empty one and migrate it."
            )
        if not 1 <= options["clusters"] <= options["applications"] <= options["services"]:
            raise CommandError("There must be a cluster, an application for each cluster, and a service for each application.")
        if options["users"] < 2:
            raise CommandError(f"There must be two users: {ADMINISTRATOR} and {PART_DEPLOYER}.")
        prepare_connection()
        self._fill(options)
        if options["verbosity"]:
            self.stdout.write(
                f"The database is filled. Users are {ADMINISTRATOR}, and {PART_DEPLOYER} with roles on single clusters; "
                "set their passwords with manage.py changepassword."
            )

    def _fill(self, options: dict[str, Any]) -> None:
        inventory = Inventory(Random(options["seed"]), timezone.now())  # noqa: S311 - made up, and the same each time
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


def read_size(text: str) -> int:
    """Raises ValueError, which argparse reports."""
    size = int(text)
    if size < 0:
        raise ValueError
    return size


def prepare_connection() -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA cache_size = -200000")  # KiB: the ids are random, and so are the places of their index


def settle_database() -> None:
    """What PostgreSQL's autovacuum does within minutes after so many new rows. Nothing can be vacuumed in a transaction."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
