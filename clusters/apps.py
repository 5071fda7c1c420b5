from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig, apps
from django.conf import settings
from django.db.models.signals import post_migrate

from clusters.child_environment import pass_on
from clusters.engine.lifelines import Lifeline, needs


class ClustersConfig(AppConfig):
    name = "clusters"

    def ready(self) -> None:
        from clusters.access import tokens as tokens  # ends them with the password

        pass_on(settings.PASSED_VARIABLES)
        needs.lifelines = tuple(find_own_lifelines())
        post_migrate.connect(sync_roles_at_the_end, dispatch_uid="clusters.sync_roles")


def find_own_lifelines() -> Iterator[Lifeline]:
    """Yield the servers that the console's processes connect to."""
    database = settings.DATABASES["default"]
    if database.get("HOST"):
        yield Lifeline(str(database["HOST"]), int(database.get("PORT") or 5432), "the console's database runs in it")
    broker = urlsplit(settings.BROKER_URL)
    if broker.hostname:
        port = broker.port or {"amqp": 5672, "amqps": 5671}.get(broker.scheme, 6379)
        yield Lifeline(broker.hostname, port, "the console's broker runs in it")


def sync_roles_at_the_end(sender: AppConfig, **kwargs: Any) -> None:
    """Sync after the last application: the signal comes once for each, and only then do all permissions exist."""
    from clusters.access import sync_role_groups

    if sender == list(apps.get_app_configs())[-1]:
        sync_role_groups()
