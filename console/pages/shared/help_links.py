"""Where the help describes each page of the console: one table, of which a test checks that every place exists."""

from typing import NamedTuple

from django.urls import reverse


class HelpPlace(NamedTuple):
    """A section of the help. `label` says what it is about; without a `page` it is the help's own index."""

    label: str
    page: str = ""
    anchor: str = ""

    @property
    def address(self) -> str:
        if not self.page:
            return reverse("help")
        return reverse("help_page", args=[self.page]) + (f"#{self.anchor}" if self.anchor else "")


INDEX = HelpPlace("Windlass")
CREATE = HelpPlace("Triggers", "triggers", "create-a-trigger")
NARROW = HelpPlace("Narrow the link", "triggers", "narrow-the-link")
SIGNED = HelpPlace("Signed calls", "triggers", "signed-calls")
JOBS = HelpPlace("Calls from build jobs", "triggers", "calls-from-build-jobs-without-a-secret")
REDEPLOY = HelpPlace("Redeploy", "triggers", "redeploy")
PREVIOUS = HelpPlace("The previous image", "triggers", "the-previous-image")
SCALE = HelpPlace("Scale", "triggers", "scale")
ACTS = HelpPlace("Stop, start, restart, delete", "architecture", "stop-start-restart-delete")
FREEZES = HelpPlace("Freeze windows", "triggers", "freeze-windows")
CALLS = HelpPlace("Calls", "triggers", "what-a-call-becomes")
PUSHES = HelpPlace("Pushes", "triggers", "pushes")
LOGS = HelpPlace("Containers", "architecture", "live-reads")
ENGINES = HelpPlace("Clusters", "operate", "the-engine")
SWARM = HelpPlace("Nodes", "operate", "swarm")
CREDENTIALS = HelpPlace("Registries", "operate", "credentials-for-private-registries")
NOTIFICATIONS = HelpPlace("Notifications", "operate", "notifications")
USERS = HelpPlace("Users and roles", "operate", "users-roles-and-the-audit-log")
AUDIT = HelpPlace("Audit log", "security", "the-audit-log")
PROVIDERS = HelpPlace("Sign-in by an identity provider", "operate", "sign-in-by-an-identity-provider")
FACTORS = HelpPlace("Second factor", "operate", "second-factor")
SESSIONS = HelpPlace("Sessions", "security", "sessions")
PEOPLE = HelpPlace("People", "security", "people")
API = HelpPlace("API", "operate", "the-api")

HELP: dict[str, HelpPlace] = {  # by URL name; a page without an entry has the index
    **dict.fromkeys(("applications", "application", "triggers", "trigger_create", "trigger_edit", "trigger_delete"), CREATE),
    **dict.fromkeys(("trigger", "trigger_narrow"), NARROW),
    "trigger_rotate": HelpPlace("Rotate the secret", "triggers", "rotate-the-secret"),
    "trigger_call": HelpPlace("Call a trigger", "triggers", "call-it"),
    "trigger_signature": SIGNED,
    **dict.fromkeys(("trusted_job_create", "trusted_job_edit", "trusted_job_delete"), JOBS),
    "application_redeploy": REDEPLOY,
    **dict.fromkeys(("application_previous", "service_previous", "call_previous", "versions"), PREVIOUS),
    **dict.fromkeys(("application_act", "container_act"), ACTS),
    **dict.fromkeys(("services", "service", "service_scale"), SCALE),
    **dict.fromkeys(("container", "container_use", "images", "image_remove", "image_prune"), LOGS),
    **dict.fromkeys(("clusters", "cluster", "cluster_create", "cluster_edit", "cluster_delete"), ENGINES),
    **dict.fromkeys(("cluster_engine", "cluster_disk", "cluster_events"), ENGINES),
    **dict.fromkeys(("nodes", "node"), SWARM),
    **dict.fromkeys(("registries", "registry_create", "registry_edit", "registry_delete"), CREDENTIALS),
    **dict.fromkeys(("registry", "registry_rotate", "deliveries", "delivery"), PUSHES),
    **dict.fromkeys(("activity", "call"), CALLS),
    **dict.fromkeys(
        (
            "application_freezes",
            "cluster_freezes",
            "application_freeze_create",
            "cluster_freeze_create",
            "freeze_edit",
            "freeze_delete",
            "call_release",
        ),
        FREEZES,
    ),
    **dict.fromkeys(("users", "user", "user_create", "user_role", "user_switch", "user_invite", "grant_create"), USERS),
    **dict.fromkeys(("notifications", "notifications_sent", "notification_sent", "channel", "channel_create"), NOTIFICATIONS),
    **dict.fromkeys(("channel_edit", "channel_rules", "channel_key", "channel_delete"), NOTIFICATIONS),
    "audit": AUDIT,
    **dict.fromkeys(("sign_in_settings", "provider_create", "provider_edit", "provider_delete", "identities"), PROVIDERS),
    **dict.fromkeys(("second_factor", "app_set_up", "recovery_codes", "passkey_add", "user_factor_reset"), FACTORS),
    "sessions": SESSIONS,
    "password": PEOPLE,
    **dict.fromkeys(("tokens", "token_create", "token_replace", "token_end", "user_token_end", "api", "api_group"), API),
}


def find_help(url_name: str) -> HelpPlace:
    return HELP.get(url_name, INDEX)
