"""Events of forges and their pipelines that are about anything but an image: GitHub, Gitea, Forgejo, Gogs, GitLab, Bitbucket
(Cloud and Data Center), Azure DevOps, CircleCI and Buildkite. A few say that a new version is there; of the many others that a
webhook can send, none does.

From octokit/webhooks, Gitea's and Forgejo's modules/structs/hook.go and modules/webhook/type.go, GitLab's "Webhook events",
Bitbucket's "Event payloads", Azure DevOps' "Service hooks events", CircleCI's and Buildkite's "Webhooks".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from triggers.payloads.fields import clean, dig, is_object, quote_value, text
from triggers.payloads.payload import Body, Headers

LABELS = {  # github and gitea are senders of images too
    "gitlab": "GitLab",
    "bitbucket": "Bitbucket",
    "gogs": "Gogs",
    "azure_devops": "Azure DevOps",
    "circleci": "CircleCI",
    "buildkite": "Buildkite",
}
EVENT_LENGTH = 64
IMAGE_EVENTS = ("package", "registry_package")  # of GitHub and Gitea: their senders read these
DONE = "success"

Rule = Callable[[Body], str]  # returns why the event is no new version; nothing if it is one


@dataclass(frozen=True)
class ForgeEvent:
    """An event of a forge. `refusal` says why it is no new version, as the end of a sentence; empty if it is one."""

    forge: str
    label: str
    event: str
    refusal: str = ""


def read_forge_event(headers: Headers, body: Body) -> ForgeEvent | None:
    """Read the event, recognised by its header; None for any other message, and for packages. Never raises."""
    for header, (forge, label, rules) in FORGES.items():
        event = headers.get(header, "").strip()
        if not event or (header == BITBUCKET_HEADER and ":" not in event):
            continue
        event = find_gitlab_kind(body, event) if forge == "gitlab" else event.lower()
        if event in IMAGE_EVENTS:
            return None
        return judge(forge, label, rules, event, body)
    if isinstance(body.get("publisherId"), str) and is_object(body.get("resource")):
        return judge("azure_devops", LABELS["azure_devops"], AZURE_DEVOPS, text(body.get("eventType")), body)
    return None


def judge(forge: str, label: str, rules: Mapping[str, Rule], event: str, body: Body) -> ForgeEvent:
    rule = rules.get(event)
    refusal = rule(body) if rule else "says nothing about a new version"
    return ForgeEvent(forge, label, clean(event, EVENT_LENGTH), refusal)


def accept(body: Body) -> str:
    return ""


def refuse_deletion(body: Body) -> str:
    """Refuse a push that deletes its branch or tag: the commit after it is then all zeros, or missing."""
    after = body.get("after")
    deleted = body.get("deleted") is True or (isinstance(after, str) and bool(after) and not after.strip("0"))
    return "deletes a branch or a tag" if deleted else ""


def refuse_bitbucket_deletion(body: Body) -> str:
    """The same for a push of Bitbucket, which has a list of changes."""
    changes = dig(body, "push", "changes") or body.get("changes")
    if not (isinstance(changes, list) and changes and all(is_object(change) for change in changes)):
        return ""
    ended = all("new" in change and change["new"] is None or change.get("type") == "DELETE" for change in changes)
    return "deletes a branch or a tag" if ended else ""


def refuse_azure_deletion(body: Body) -> str:
    """The same for a push of Azure DevOps, which has a list of references."""
    updates = dig(body, "resource", "refUpdates")
    heads = [text(dig(update, "newObjectId")) for update in updates] if isinstance(updates, list) else []
    return "deletes a branch or a tag" if heads and all(head and not head.strip("0") for head in heads) else ""


def require(path: str, *wanted: str) -> Rule:
    """Return a rule: the field under `path` must have one of the values."""
    keys = path.split(".")

    def refuse(body: Body) -> str:
        value = dig(body, *keys)
        return "" if text(value).lower() in wanted else f"has {keys[-1]} {quote_value(value)}, not {quote_value(wanted[0])}"

    return refuse


RELEASED = require("action", "published", "released", "prereleased")
GITHUB: Mapping[str, Rule] = {
    "push": refuse_deletion,
    "release": RELEASED,
    "workflow_run": require("workflow_run.conclusion", DONE),
    "check_suite": require("check_suite.conclusion", DONE),
    "status": require("state", DONE),
    "deployment": accept,
    "deployment_status": require("deployment_status.state", DONE),
    "repository_dispatch": accept,
}
GITEA: Mapping[str, Rule] = {
    "push": refuse_deletion,
    "release": RELEASED,
    "status": require("state", DONE),
    "workflow_run": require("workflow_run.conclusion", DONE),
    "action_run_success": accept,
    "action_run_recover": accept,
}
GITLAB: Mapping[str, Rule] = {
    "push": refuse_deletion,
    "tag_push": refuse_deletion,
    "release": require("action", "create"),
    "pipeline": require("object_attributes.status", DONE),
    "deployment": require("status", DONE),
}
BITBUCKET: Mapping[str, Rule] = {
    "repo:push": refuse_bitbucket_deletion,
    "repo:refs_changed": refuse_bitbucket_deletion,
    "repo:commit_status_created": require("commit_status.state", "successful"),
    "repo:commit_status_updated": require("commit_status.state", "successful"),
}
AZURE_DEVOPS: Mapping[str, Rule] = {
    "git.push": refuse_azure_deletion,
    "build.complete": require("resource.result", "succeeded"),
    "ms.vss-pipelines.run-state-changed-event": require("resource.run.result", "succeeded"),
    "ms.vss-release.deployment-completed-event": require("resource.environment.status", "succeeded"),
}
CIRCLECI: Mapping[str, Rule] = {"workflow-completed": require("workflow.status", DONE)}
BUILDKITE: Mapping[str, Rule] = {"build.finished": require("build.state", "passed")}
# Gitea and Forgejo send GitHub's and Gogs' headers too, so theirs come first.
BITBUCKET_HEADER = "x-event-key"
FORGES: Mapping[str, tuple[str, str, Mapping[str, Rule]]] = {
    "x-forgejo-event": ("gitea", "Forgejo", GITEA),
    "x-gitea-event": ("gitea", "Gitea", GITEA),
    "x-gogs-event": ("gogs", "Gogs", GITEA),
    "x-github-event": ("github", "GitHub", GITHUB),
    "x-gitlab-event": ("gitlab", "GitLab", GITLAB),
    BITBUCKET_HEADER: ("bitbucket", "Bitbucket", BITBUCKET),
    "circleci-event-type": ("circleci", "CircleCI", CIRCLECI),
    "x-buildkite-event": ("buildkite", "Buildkite", BUILDKITE),
}


def find_gitlab_kind(body: Body, header: str) -> str:
    """Return `pipeline` for `Pipeline Hook`. A system hook names its kind in the body alone."""
    kind: Any = body.get("object_kind") or body.get("event_name")
    return text(kind).lower() or header.lower().removesuffix(" hook").replace(" ", "_")
