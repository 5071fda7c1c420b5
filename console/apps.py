from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AppConfig):
    name = "console"

    def ready(self) -> None:
        from console import celery as celery  # makes this the current Celery application
        from console import checks as checks  # registers the system checks
        from console.pages.account import provider_sessions as provider_sessions  # connects the limit of their sessions
        from console.pages.account import sign_ins as sign_ins  # connects the recording of sign-ins
        from console.pages.shared import natural_order as natural_order  # gives SQLite the function that orders names


class ConsoleAdminConfig(AdminConfig):
    """The Django admin in the console's layout."""
