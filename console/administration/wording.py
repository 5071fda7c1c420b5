"""The console's words for what Django names after models and fields, and titles of rows."""

from django.db.models import Model
from django.utils.text import capfirst

from clusters.access.audit import ACTIONS
from clusters.models import AuditEntry, ClusterGrant
from console.wording import split_request
from triggers.models import TriggerCall, TriggerCallEvent
from triggers.narrowing_forms import LABELS as NARROWING_LABELS

TITLE_LENGTH = 80  # characters of a row whose text is long

# One and many of a model, where the console has other words.
NAMES: dict[type[Model], tuple[str, str]] = {
    AuditEntry: ("audit entry", "audit log"),
    ClusterGrant: ("role on a cluster", "roles on clusters"),
    TriggerCall: ("call", "calls"),
    TriggerCallEvent: ("operation of a call", "operations of calls"),
}
# The labels of fields, by name. A field that is not here has Django's.
LABELS: dict[str, str] = {
    "actor": "User",
    "after": "After",
    "api_version": "API version",
    "before": "Before",
    "body": "Body",
    "call": "Call",
    "checked_at": "Tested",
    "coalesced_into": "Covered by",
    "completed_at": "Ended",
    "cooldown_seconds": "Cool-down",
    "count": "Times",
    "cpus": "CPUs",
    "created_at": "Created",
    "date_joined": "Added",
    "delivery_id": "Delivery id",
    "error": "Problem",
    "engine_name": "Engine",
    "event": "Event",
    "fingerprint": "Fingerprint of the body",
    "id": "Id",
    "image_id": "Image id",
    "is_active": "Active",
    "is_staff": "Can use Administration",
    "is_superuser": "Superuser",
    "last_at": "Last time",
    "last_login": "Last sign-in",
    "lease_expires_at": "Lease ends",
    "max_replicas": "Maximum",
    "memory_bytes": "Memory",
    "merged_into": "Merged with",
    "min_replicas": "Minimum",
    "node_name": "Node",
    "on_failure": "On failure",
    "other_urls": "Other managers",
    "public_id": "Id in the link",
    "pull_limit": "Pull limit",
    "pull_remaining": "Pulls left",
    "pull_window_seconds": "Pull window in seconds",
    "queued_at": "Requested",
    "received_at": "Received",
    "repeated": "Repeated",
    "repeated_at": "Last repetition",
    "replay_of": "Replay of",
    "request_id": "Request id",
    "source_address": "From",
    "started_at": "Started",
    "status_changed_at": "Since",
    "status_text": "Status",
    "swarm_manager": "Swarm",
    "synced_at": "Last seen",
    "tag_pattern": "Allowed tags",
    "task_count": "Tasks",
    "time": "When",
    "tls_ca": "CA certificate",
    "tls_cert": "Client certificate",
    "tls_key": "Client key",
    "uid": "Id in links",
    "updated_at": "Updated",
    "url": "Address",
    "user_agent": "Program",
    "username": "User name",
    **NARROWING_LABELS,
}


def name_one(model: type[Model]) -> str:
    return NAMES[model][0] if model in NAMES else str(model._meta.verbose_name)


def name_many(model: type[Model]) -> str:
    return str(capfirst(NAMES[model][1] if model in NAMES else model._meta.verbose_name_plural))


def label_field(name: str, default: object) -> str:
    """Return the label of a field or a column; `default` is Django's."""
    return LABELS.get(name) or str(capfirst(str(default)))


def title_row(row: object) -> str:
    """Return what a row's page and a link to it are called: `Scale web out by 5`, `admin: Rotated secret nightly`."""
    if isinstance(row, TriggerCall):
        before, after = split_request(row)
        return " ".join(filter(None, (before, str(row.container or row.service or row.application), after)))
    if isinstance(row, AuditEntry):
        return f"{row.actor or 'Nobody'}: {ACTIONS.get(row.action, row.action)} {row.subject}".rstrip()
    text = str(row)
    return text if len(text) <= TITLE_LENGTH else f"{text[: TITLE_LENGTH - 1]}…"
