"""Which commits get a status when a call begins or ends, over channels of the kind commit.

The commit and its repository are those of the call's verified identity token, or those that the call names. A trusted job can
report about its own repository alone, at its own host. Written to the outbox in the transaction that begins or ends the call.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q

from triggers.commits import is_commit, is_repository
from triggers.models import CallState, ChannelKind, News, NotificationChannel, TriggerCall
from triggers.notifications.outbox import write_news

log = structlog.get_logger("windlass.notifications")

PENDING, SUCCESS, FAILURE = "pending", "success", "failure"
STATUSES = {
    CallState.RUNNING: PENDING,
    CallState.SUCCEEDED: SUCCESS,
    CallState.FAILED: FAILURE,
    CallState.ROLLED_BACK: FAILURE,
}
WORDS = {
    CallState.RUNNING: "The {action} runs.",
    CallState.SUCCEEDED: "The {action} succeeded.",
    CallState.FAILED: "The {action} failed: {reason}.",
    CallState.ROLLED_BACK: "The {action} failed and was rolled back: {reason}.",
}
GITHUB_ISSUER, GITHUB_HOST = "token.actions.githubusercontent.com", "github.com"


def record_commit_status(call: TriggerCall, state: CallState, reason: str = "") -> None:
    """Write a status for the commit of the call, and of the calls that have the same outcome. The call's application and
    cluster are loaded. Costs one query where there is no such channel.

    Statuses of public repositories are public, so they name the reason by its code, and not what the engine said."""
    if not (channels := _list_channels()):
        return
    named = Q(built_from__isnull=False) | Q(identity__isnull=False)
    rows = TriggerCall.objects.filter(named, Q(pk=call.pk) | Q(merged_into=call.pk) | Q(coalesced_into=call.pk))
    for each in rows.select_related("service").order_by("queued_at", "pk"):
        each.application = call.application
        for channel in channels:
            if commit := find_commit(each, channel.values):
                _write_status(each, channel, state, reason, commit)


def _list_channels() -> list[NotificationChannel]:
    """Return the channels that are on. A configuration that cannot be decrypted keeps no call from its end."""
    try:
        return list(NotificationChannel.objects.filter(kind=ChannelKind.COMMIT, enabled=True).order_by("pk"))
    except ImproperlyConfigured as error:
        log.warning("commits get no status", error=str(error))
        return []


def _write_status(
    call: TriggerCall, channel: NotificationChannel, state: CallState, reason: str, commit: tuple[str, str]
) -> None:
    application = call.application
    repository, commit_id = commit
    description = WORDS[state].format(action=call.action, reason=reason or "its log has the details")
    facts = {
        "subject": "",
        "sentence": f"{description} Commit {commit_id[:12]} of {repository}.",
        "commit": {
            "repository": repository,
            "id": commit_id,
            "status": STATUSES[state],
            "context": f"windlass/{application.name}@{application.cluster.name}",
            "description": description,
        },
    }
    subject = f"{call.pk} {STATUSES[state]}"
    write_news(News.COMMIT_STATUS, [channel.pk], application.cluster, application, call, subject, facts)


def find_commit(call: TriggerCall, values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the repository and the commit that a channel with this configuration reports about; None if it is not for them."""
    identity = call.identity if isinstance(call.identity, dict) else {}
    named = call.built_from if isinstance(call.built_from, dict) else {}
    wanted = str(values.get("repository", ""))
    own = str(identity.get("repository", "")) if is_issued_by(str(identity.get("issuer", "")), values) else ""
    repository = str(named.get("repository", "")) or own or (wanted if "*" not in wanted else "")
    if own and repository.lower() != own.lower():
        return None
    commit = str(named.get("commit", "")) or (str(identity.get("commit", "")) if own else "")
    if not (is_commit(commit) and is_repository(repository)) or (wanted and not fits(repository, wanted)):
        return None
    return repository, commit


def fits(repository: str, wanted: str) -> bool:
    """Return whether the repository is one that a channel names; a `*` stands for any text. Forges ignore the case of names."""
    pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
    return re.fullmatch(pattern, repository, re.IGNORECASE) is not None


def is_issued_by(issuer: str, values: Mapping[str, Any]) -> bool:
    """Return whether the issuer of a job's token is the forge that the channel writes to."""
    host = urlsplit(issuer).netloc.lower()
    if host == GITHUB_ISSUER:
        host = GITHUB_HOST
    return bool(host) and host == urlsplit(str(values.get("server", ""))).netloc.lower()
