"""The audit log: who did what, when and from where. This module is its only writer, and only adds to it. Counts of repeated
refusals grow: clusters.access.counted_acts.
"""

import getpass
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone

from clusters.access import PATHS, find_cluster_id
from clusters.access.changes import list_changes, read_values
from clusters.access.limits import find_limit
from clusters.batches import delete_in_batches
from clusters.callers import client_address
from clusters.models import AuditEntry

# Every action that is recorded, with its label.
ACTIONS = {
    "sign_in": "Signed in",
    "sign_in.fail": "Failed to sign in",
    "sign_in.lock": "Locked sign-in",
    "sign_in.unlock": "Unlocked sign-in",
    "sign_in.link": "Made sign-in link",
    "sign_out": "Signed out",
    "session.end": "Ended sessions",
    "factor.add": "Added second factor",
    "factor.change": "Renamed second factor",
    "factor.remove": "Removed second factor",
    "factor.codes": "Made recovery codes",
    "factor.reset": "Reset second factor",
    "call": "Requested call",
    "call.cancel": "Cancelled call",
    "call.override": "Let call run in a freeze",
    "freeze.add": "Added freeze window",
    "freeze.change": "Changed freeze window",
    "freeze.delete": "Deleted freeze window",
    "trigger.create": "Created trigger",
    "trigger.change": "Changed trigger",
    "trigger.enable": "Enabled trigger",
    "trigger.disable": "Disabled trigger",
    "trigger.rotate": "Rotated secret",
    "trigger.signature": "Changed signed calls",
    "trigger.trust": "Trusted build jobs",
    "trigger.distrust": "Stopped trusting build jobs",
    "trigger.end_old": "Ended old secret",
    "trigger.reveal": "Revealed secret",
    "trigger.delete": "Deleted trigger",
    "application.delete": "Deleted application",
    "container.remove": "Removed container",
    "container.reveal": "Revealed environment",
    "image.remove": "Removed image",
    "image.prune": "Pruned images",
    "cluster.add": "Added cluster",
    "cluster.change": "Changed cluster",
    "cluster.delete": "Deleted cluster",
    "registry.add": "Added registry",
    "registry.change": "Changed registry",
    "registry.reveal": "Revealed inbound link",
    "registry.rotate": "Rotated inbound link",
    "registry.delete": "Deleted registry",
    "delivery.replay": "Replayed delivery",
    "channel.add": "Added channel",
    "channel.change": "Changed channel",
    "channel.rules": "Changed channel's rules",
    "channel.key": "Made signing key",
    "channel.test": "Tested channel",
    "channel.on": "Turned channel on",
    "channel.off": "Turned channel off",
    "channel.delete": "Deleted channel",
    "notification.send": "Sent notification again",
    "grant.add": "Granted role",
    "grant.change": "Changed role",
    "grant.delete": "Revoked role",
    "logs.download": "Downloaded logs",
    "activity.export": "Exported activity",
    "audit.export": "Exported audit log",
    "refuse": "Was refused",
    "token.refuse": "Refused API token",
    "token.create": "Created API token",
    "token.replace": "Replaced API token",
    "token.end": "Ended API token",
    "token.add": "Added API token",
    "token.change": "Changed API token",
    "token.rotate": "Rotated API token",
    "token.delete": "Deleted API token",
    "user.add": "Added user",
    "user.change": "Changed user",
    "user.delete": "Deleted user",
    "group.add": "Added group",
    "group.change": "Changed group",
    "group.delete": "Deleted group",
    "provider.add": "Added identity provider",
    "provider.change": "Changed identity provider",
    "provider.delete": "Deleted identity provider",
    "provider.test": "Tested identity provider",
    "mapping.add": "Added group mapping",
    "mapping.delete": "Deleted group mapping",
    "identity.invite": "Invited to link an identity",
    "identity.link": "Linked identity",
    "identity.unlink": "Unlinked identity",
}

log = structlog.get_logger("windlass.audit")


def record_act(request: HttpRequest, action: str, target: Model | None = None, /, **details: Any) -> AuditEntry:
    """Record an act of the request's user. `action` is a key of ACTIONS; `details` are JSON values without secrets.

    Call it inside the transaction that makes the change, so that neither is stored without the other.
    """
    return record(getattr(request, "user", None), action, target, address=client_address(request), **details)


def record_addition(request: HttpRequest, action: str, row: Model, names: Iterable[str], /, **details: Any) -> AuditEntry:
    """Record that `row` was added, with the values of the named fields that are not empty."""
    return record_change(request, action, row, {}, names, **details)


def record_change(
    request: HttpRequest, action: str, row: Model, before: Mapping[str, Any], names: Iterable[str] = (), /, **details: Any
) -> AuditEntry:
    """Record a change of `row` with the old and the new value of each field that differs (clusters.access.changes). `before`:
    what `read_stored_values` returned before the change, in the same transaction."""
    return record_act(request, action, row, changes=list_changes(before, read_values(row, names or before)), **details)


def record_command(command: str, action: str, target: Model, /, **details: Any) -> AuditEntry:
    """Record an act by `manage.py <command>`. No user can have such a name, since it has a space."""
    return record(None, action, target, actor=f"manage.py {command}", system_user=name_system_user(), **details)


def name_system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def record(
    user: Any, action: str, target: Model | None = None, /, *, actor: str = "", address: str | None = None, **details: Any
) -> AuditEntry:
    """Record an act of `user`, or of nobody known: then `actor` is the name to record. Empty `changes` are left out. If the
    user has come by an API token, its name is recorded as well."""
    if not details.get("changes", True):
        del details["changes"]
    known = None if user is None or isinstance(user, AnonymousUser) else user
    if limit := find_limit(known):
        details["token"] = limit.token
    entry = AuditEntry.objects.create(
        user=known,
        actor=(known.get_username() if known else actor)[:150],
        address=address,
        action=action,
        target_type=target._meta.model_name or "" if target else "",
        target_id=str(target.pk) if target else "",
        target=str(target)[:255] if target else "",
        cluster_id=find_cluster_id(target) if target and target._meta.label in PATHS else None,
        details=details,
    )
    log.info("audit", action=action, actor=entry.actor, target=entry.target, address=address)
    return entry


def prune_entries() -> int:
    """Delete entries older than AUDIT_RETENTION_DAYS. Returns their number."""
    horizon = timezone.now() - timedelta(days=settings.AUDIT_RETENTION_DAYS)
    return delete_in_batches(AuditEntry.objects.filter(time__lt=horizon).order_by("time"))
