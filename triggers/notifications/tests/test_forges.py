"""What forges are sent, and what their answers mean."""

import json

import pytest

from triggers.models import CallState
from triggers.notifications.forges import find_api, send_commit_status
from triggers.notifications.messages import Message
from triggers.notifications.outcomes import NotSent
from triggers.tests.factories import TriggerCallFactory

pytestmark = pytest.mark.django_db
COMMIT = "a" * 40


def make_values(sink, forge="forgejo", **more):
    return {"forge": forge, "server": sink.address, "token": "tk_planted", **more}


def make_message(status="success", call_id=None, **commit):
    about = {"repository": "team/app", "id": COMMIT, "status": status, "context": "windlass/shop@harbour"}
    facts = {"commit": about | {"description": "The redeploy succeeded."} | commit, "call": {"id": call_id}}
    return Message("msg_1", "title", "text", "info", {}, "https://windlass.test/calls/1/", facts, 1)


@pytest.mark.parametrize(
    ("forge", "server", "api"),
    [
        ("github", "https://github.com", "https://api.github.com"),
        ("github", "https://github.example.com/", "https://github.example.com/api/v3"),
        ("gitlab", "https://gitlab.com", "https://gitlab.com/api/v4"),
        ("gitea", "https://git.example.com/sub", "https://git.example.com/sub/api/v1"),
        ("forgejo", "https://codeberg.org", "https://codeberg.org/api/v1"),
    ],
)
def test_the_api_of_a_server(forge, server, api):
    assert find_api(forge, server) == api


@pytest.mark.parametrize(
    ("forge", "path", "header", "state"),
    [
        ("github", f"/api/v3/repos/team/app/statuses/{COMMIT}", ("authorization", "Bearer tk_planted"), "failure"),
        ("gitlab", f"/api/v4/projects/team%2Fapp/statuses/{COMMIT}", ("private-token", "tk_planted"), "failed"),
        ("gitea", f"/api/v1/repos/team/app/statuses/{COMMIT}", ("authorization", "token tk_planted"), "failure"),
        ("forgejo", f"/api/v1/repos/team/app/statuses/{COMMIT}", ("authorization", "token tk_planted"), "failure"),
    ],
)
def test_what_is_sent(sink, forge, path, header, state):
    sink.answers = [(201, {}, b"{}")]
    receipt = send_commit_status(make_values(sink, forge), make_message("failure", description="é" * 300))
    got = sink.received[0]
    assert (receipt.status, got.path, got.headers[header[0]]) == (201, path, header[1])
    sent = json.loads(got.body)
    assert (sent["state"], sent["context"], sent["target_url"]) == (
        state,
        "windlass/shop@harbour",
        "https://windlass.test/calls/1/",
    )
    assert len(sent["description"]) == 140


def test_a_beginning_is_not_said_after_the_end(sink):
    call = TriggerCallFactory(state=CallState.RUNNING)
    send_commit_status(make_values(sink), make_message("pending", str(call.pk)))
    assert len(sink.received) == 1
    call.state = CallState.SUCCEEDED
    call.save()
    receipt = send_commit_status(make_values(sink), make_message("pending", str(call.pk)))
    assert len(sink.received) == 1
    assert "has ended already" in receipt.note


@pytest.mark.parametrize(("status", "is_final"), [(401, True), (404, True), (422, True), (429, False), (502, False)])
def test_a_refusal(sink, status, is_final):
    sink.answers = [(status, {}, b"no")]
    with pytest.raises(NotSent) as caught:
        send_commit_status(make_values(sink), make_message())
    assert caught.value.is_final is is_final


def test_a_status_that_gitlab_has_already_is_no_failure(sink):
    sink.answers = [(400, {}, b'{"message": "Cannot transition status via :enqueue from :pending"}')]
    receipt = send_commit_status(make_values(sink, "gitlab"), make_message())
    assert "already" in receipt.note
    with pytest.raises(NotSent):
        send_commit_status(make_values(sink, "gitea"), make_message())


def test_no_redirect_is_followed_with_the_token(sink):
    sink.answers = [(307, {"Location": f"{sink.address}/elsewhere"}, b"")]
    with pytest.raises(NotSent, match="a redirect"):
        send_commit_status(make_values(sink), make_message())
    assert len(sink.received) == 1


@pytest.mark.parametrize(("status", "note"), [(200, ""), (403, "The token is known.")])
def test_a_test_asks_whose_the_token_is(sink, status, note):
    sink.answers = [(status, {}, b"{}")]
    test = Message("msg_1", "title", "text", "info", {}, None, {"sentence": "A test."}, 1)
    assert send_commit_status(make_values(sink), test).note.startswith(note)
    assert sink.received[0].path == "/api/v1/user"


def test_a_test_with_a_token_that_is_not_known_fails(sink):
    sink.answers = [(401, {}, b"bad credentials")]
    test = Message("msg_1", "title", "text", "info", {}, None, {"sentence": "A test."}, 1)
    with pytest.raises(NotSent, match="answered 401"):
        send_commit_status(make_values(sink), test)
