"""Events of forges: which say that a new version is there, and why the others do not."""

import pytest

from triggers.payloads.forges import FORGES, read_forge_event

ZERO = "0" * 40
HEADS = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "repository": {"full_name": "team/app"}}
CHANGE = {"new": {"type": "branch", "name": "main"}, "old": None}
GITHUB, GITEA, FORGEJO, GITLAB, BITBUCKET = (
    "x-github-event",
    "x-gitea-event",
    "x-forgejo-event",
    "x-gitlab-event",
    "x-event-key",
)

CIRCLECI, BUILDKITE, NONE = "circleci-event-type", "x-buildkite-event", "x-none"


def devops(event, **resource):
    return {"subscriptionId": "0", "publisherId": "tfs", "eventType": event, "resource": resource}


NEW_VERSIONS = [
    (GITHUB, "push", HEADS),
    (GITHUB, "push", HEADS | {"ref": "refs/tags/v1.2"}),
    (GITHUB, "push", {}),
    (GITHUB, "release", {"action": "published", "release": {}}),
    (GITHUB, "workflow_run", {"action": "completed", "workflow_run": {"conclusion": "success"}}),
    (GITHUB, "check_suite", {"action": "completed", "check_suite": {"conclusion": "success"}}),
    (GITHUB, "status", {"state": "success"}),
    (GITHUB, "deployment", {"deployment": {}}),
    (GITHUB, "deployment_status", {"deployment_status": {"state": "success"}}),
    (GITHUB, "repository_dispatch", {"action": "deploy"}),
    (GITEA, "push", HEADS),
    (GITEA, "release", {"action": "published"}),
    (GITEA, "workflow_run", {"action": "completed", "workflow_run": {"conclusion": "success"}}),
    (FORGEJO, "push", HEADS),
    (FORGEJO, "action_run_success", {"action": "success"}),
    ("x-gogs-event", "push", HEADS),
    (GITLAB, "Push Hook", HEADS | {"object_kind": "push"}),
    (GITLAB, "Tag Push Hook", HEADS | {"object_kind": "tag_push"}),
    (GITLAB, "Pipeline Hook", {"object_kind": "pipeline", "object_attributes": {"status": "success"}}),
    (GITLAB, "Release Hook", {"object_kind": "release", "action": "create"}),
    (GITLAB, "Deployment Hook", {"object_kind": "deployment", "status": "success"}),
    (GITLAB, "System Hook", HEADS | {"event_name": "push"}),
    (BITBUCKET, "repo:push", {"push": {"changes": [CHANGE]}}),
    (BITBUCKET, "repo:push", {"push": {"changes": [CHANGE, {"new": None, "old": {}}]}}),
    (BITBUCKET, "repo:refs_changed", {"changes": [{"type": "UPDATE"}]}),
    (BITBUCKET, "repo:commit_status_updated", {"commit_status": {"state": "SUCCESSFUL"}}),
    (CIRCLECI, "workflow-completed", {"type": "workflow-completed", "workflow": {"status": "success"}}),
    (BUILDKITE, "build.finished", {"event": "build.finished", "build": {"state": "passed"}}),
    (NONE, "", devops("git.push", refUpdates=[{"name": "refs/heads/main", "newObjectId": "b" * 40}])),
    (NONE, "", devops("build.complete", result="succeeded")),
]
OTHERS = [
    *((GITHUB, event, {"action": "created"}) for event in ("star", "watch", "issue_comment", "fork", "create", "delete")),
    *((GITHUB, event, {"action": "opened"}) for event in ("issues", "pull_request", "check_run", "workflow_job", "unknown")),
    (GITHUB, "push", HEADS | {"deleted": True, "after": ZERO}),
    (GITHUB, "push", HEADS | {"after": ZERO}),
    (GITHUB, "release", {"action": "deleted"}),
    (GITHUB, "workflow_run", {"action": "requested", "workflow_run": {"conclusion": None, "status": "queued"}}),
    (GITHUB, "workflow_run", {"action": "completed", "workflow_run": {"conclusion": "failure"}}),
    (GITHUB, "workflow_run", {"workflow_run": [1]}),
    (GITHUB, "status", {"state": "pending"}),
    (GITHUB, "deployment_status", {"deployment_status": {"state": "in_progress"}}),
    (GITEA, "issue_comment", {"action": "created"}),
    (GITEA, "delete", {"ref": "main"}),
    (GITEA, "push", HEADS | {"after": ZERO}),
    (FORGEJO, "action_run_failure", {"action": "failure"}),
    (GITLAB, "Pipeline Hook", {"object_kind": "pipeline", "object_attributes": {"status": "failed"}}),
    (GITLAB, "Pipeline Hook", {"object_kind": "pipeline", "object_attributes": {"status": "running"}}),
    (GITLAB, "Job Hook", {"object_kind": "build", "build_status": "success"}),
    (GITLAB, "Note Hook", {"object_kind": "note"}),
    (GITLAB, "Push Hook", HEADS | {"object_kind": "push", "after": ZERO, "checkout_sha": None}),
    (GITLAB, "Release Hook", {"object_kind": "release", "action": "delete"}),
    (GITLAB, "System Hook", {"event_name": "user_create"}),
    (BITBUCKET, "repo:push", {"push": {"changes": [{"new": None, "old": {}}]}}),
    (BITBUCKET, "repo:refs_changed", {"changes": [{"type": "DELETE"}]}),
    (BITBUCKET, "repo:commit_status_created", {"commit_status": {"state": "INPROGRESS"}}),
    (BITBUCKET, "pullrequest:created", {}),
    (BITBUCKET, "diagnostics:ping", {"test": True}),
    (CIRCLECI, "workflow-completed", {"workflow": {"status": "failed"}}),
    (CIRCLECI, "job-completed", {"job": {"status": "success"}}),
    (BUILDKITE, "build.running", {"build": {"state": "running"}}),
    (BUILDKITE, "build.finished", {"build": {"state": "failed"}}),
    (NONE, "", devops("build.complete", result="failed")),
    (NONE, "", devops("workitem.created")),
    (NONE, "", devops("git.push", refUpdates=[{"name": "refs/heads/main", "newObjectId": ZERO}])),
]
STRANGE = (None, True, 7, "x", "\0\ud800", [], [None], {}, {"changes": {}}, {"state": []})


def find_forge(header):
    return FORGES[header][0] if header in FORGES else "azure_devops"


@pytest.mark.parametrize(("header", "event", "body"), NEW_VERSIONS)
def test_a_new_version(header, event, body):
    found = read_forge_event({header: event}, body)
    assert (found.forge, found.refusal) == (find_forge(header), "")


@pytest.mark.parametrize(("header", "event", "body"), OTHERS)
def test_anything_else(header, event, body):
    found = read_forge_event({header: event}, body)
    assert found.forge == find_forge(header)
    assert found.refusal


@pytest.mark.parametrize("headers", [{}, {"x-github-delivery": "1"}, {"x-event-key": "7"}, {GITHUB: ""}])
def test_no_event(headers):
    assert read_forge_event(headers, HEADS) is None


@pytest.mark.parametrize("event", ["package", "registry_package"])
def test_packages_are_read_by_the_senders_of_images(event):
    assert read_forge_event({GITHUB: event}, {"action": "published"}) is None


def test_a_forge_that_sends_the_headers_of_others_is_named():
    headers = {FORGEJO: "push", GITEA: "push", "x-gogs-event": "push", GITHUB: "push"}
    assert read_forge_event(headers, HEADS).label == "Forgejo"


@pytest.mark.parametrize(("header", "event", "body"), NEW_VERSIONS + OTHERS)
def test_no_message_is_an_error(header, event, body):
    for key in body:
        for strange in STRANGE:
            found = read_forge_event({header: event}, body | {key: strange})
            assert found is None or found.event.isprintable()
