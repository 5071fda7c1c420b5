from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.db.models.signals import post_migrate

from clusters.child_environment import pass_on


class ClustersConfig(AppConfig):
    name = "clusters"

    def ready(self) -> None:
        pass_on(settings.PASSED_VARIABLES)
        post_migrate.connect(sync_roles_at_the_end, dispatch_uid="clusters.sync_roles")


def sync_roles_at_the_end(sender: AppConfig, **kwargs: Any) -> None:
    """Sync after the last application: the signal comes once for each, and only then do all permissions exist."""
    from clusters.access import sync_role_groups

    if sender == list(apps.get_app_configs())[-1]:
        sync_role_groups()
