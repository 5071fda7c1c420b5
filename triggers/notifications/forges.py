"""Statuses of commits at GitHub, GitLab, Gitea and Forgejo.

Sources: https://docs.github.com/en/rest/commits/statuses, https://docs.gitlab.com/api/commits/#set-commit-pipeline-status,
https://gitea.com/api/swagger#/repository/repoCreateStatus, https://codeberg.org/api/swagger#/repository/repoCreateStatus
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from clusters.registry.transport import name_host
from triggers.models import ACTIVE_STATES, TriggerCall
from triggers.notifications.messages import Message, clean_line
from triggers.notifications.outcomes import NotSent, Receipt, judge_answer
from triggers.notifications.transport import exchange, open_transport, start_deadline

DESCRIPTION_LENGTH = 140  # characters that GitHub takes
CONTEXT_LENGTH = 255
GITHUB_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
SAME_STATUS = "Cannot transition status"  # GitLab's answer to a status that the commit has already


def find_api(forge: str, server: str) -> str:
    """Return the address of the forge's API."""
    root = server.rstrip("/")
    if forge == "github":
        return "https://api.github.com" if urlsplit(root).netloc.lower() == "github.com" else f"{root}/api/v3"
    return f"{root}/api/v4" if forge == "gitlab" else f"{root}/api/v1"


def make_headers(forge: str, token: str) -> dict[str, str]:
    if forge == "gitlab":
        return {"PRIVATE-TOKEN": token}
    if forge == "github":
        return {"Authorization": f"Bearer {token}", **GITHUB_HEADERS}
    return {"Authorization": f"token {token}"}


def build_request(forge: str, api: str, commit: Mapping[str, Any], target: str | None) -> tuple[str, dict[str, str]]:
    """Return the address and the fields of the request that sets a status."""
    repository, commit_id = str(commit["repository"]), str(commit["id"])
    fields = {
        "context": clean_line(str(commit["context"]), CONTEXT_LENGTH),
        "description": clean_line(str(commit["description"]), DESCRIPTION_LENGTH),
        "state": str(commit["status"]),
        **({"target_url": target} if target else {}),
    }
    if forge == "gitlab":
        fields["state"] = {"failure": "failed"}.get(fields["state"], fields["state"])
        return f"{api}/projects/{quote(repository, safe='')}/statuses/{commit_id}", fields
    return f"{api}/repos/{quote(repository)}/statuses/{commit_id}", fields


def send_commit_status(values: dict[str, Any], message: Message) -> Receipt:
    """Set the status that the message is about; of a test, try the token alone. Raises NotSent."""
    forge, api = str(values.get("forge", "")), find_api(str(values.get("forge", "")), str(values.get("server", "")))
    headers = make_headers(forge, str(values.get("token", "")))
    commit = message.facts.get("commit")
    if not isinstance(commit, dict):
        return try_token(values, api, headers)
    if commit["status"] == "pending" and has_ended(message.facts):
        return Receipt(note="The call has ended already, so that it runs was not said.")
    url, fields = build_request(forge, api, commit, message.url)
    body = json.dumps(fields).encode()
    try:
        return _ask(values, "POST", url, {"Content-Type": "application/json", **headers}, body)
    except NotSent as error:
        if forge == "gitlab" and error.status == 400 and SAME_STATUS in error.answer:
            return Receipt(error.status, error.answer, "The commit had this status already.")
        raise


def try_token(values: Mapping[str, Any], api: str, headers: Mapping[str, str]) -> Receipt:
    """Ask who the token's user is. A token that can do nothing but set statuses is told that it may not. Raises NotSent."""
    try:
        return _ask(values, "GET", f"{api}/user", headers, None)
    except NotSent as error:
        if error.status == 403:
            return Receipt(403, error.answer, "The token is known. Whether it can set statuses shows at the first call.")
        raise


def has_ended(facts: Mapping[str, Any]) -> bool:
    """Return whether the call is over: its end may have been sent before a beginning that took several attempts."""
    call_id = str((facts.get("call") or {}).get("id"))
    return not TriggerCall.objects.filter(pk=call_id, state__in=ACTIVE_STATES).exists()


def _ask(values: Mapping[str, Any], method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Receipt:
    transport = open_transport(url, str(values.get("ca", "")))
    try:
        return judge_answer(exchange(transport, method, url, headers, body, start_deadline()), name_host(url))
    finally:
        transport.close()
