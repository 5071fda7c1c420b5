import gzip
import itertools
import json
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import DatabaseError, IntegrityError, connection
from django.utils import timezone
from rest_framework.exceptions import ParseError, Throttled, UnsupportedMediaType

from triggers import bodies
from triggers.calls.accept import accept_call
from triggers.hook import views, waiting
from triggers.models import CallState, TriggerCall
from triggers.selectors import build_trigger_link
from triggers.tests.calling import PATH, link_parameters, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


class TestAccepted:
    @pytest.mark.parametrize("method", ["get", "post", "put"])
    @pytest.mark.parametrize("path", [PATH, PATH + "/"])
    def test_get_post_and_put_act_with_and_without_a_trailing_slash(self, client, method, path):
        trigger = TriggerFactory()
        response = getattr(client, method)(path, query_params=link_parameters(trigger))
        call = trigger.calls.get()
        assert response.status_code == 200
        body = response.json()
        assert (body["code"], body["message"], body["requestId"], body["state"]) == ("200", "", str(call.pk), "queued")
        assert call.source == TriggerCall.Source.HOOK

    def test_the_link_as_the_page_shows_it_works(self, client):
        trigger = TriggerFactory()
        link = build_trigger_link(trigger, "http://testserver")
        assert client.get(link.removeprefix("http://testserver")).status_code == 200

    def test_the_status_url_needs_no_login(self, client):
        trigger = TriggerFactory()
        body = client.get(PATH, query_params=link_parameters(trigger)).json()
        status = client.get(body["statusUrl"].removeprefix("http://testserver"))
        assert status.json()["state"] == "queued"
        assert status.json()["requestId"] == body["requestId"]

    def test_the_secret_can_come_in_a_header_and_then_stays_out_of_addresses(self, client):
        trigger = TriggerFactory()
        parameters = link_parameters(trigger)
        headers = {"X-Trigger-Secret": parameters.pop("secret")}
        body = client.post(PATH, query_params=parameters, headers=headers).json()
        assert body["code"] == "200"
        assert trigger.secret not in json.dumps(body)
        assert client.get(urlsplit(body["statusUrl"]).path, headers=headers).status_code == 200

    def test_the_commit_in_the_address_is_kept_with_the_call(self, client):
        trigger = TriggerFactory()
        named = {"commit": "a" * 40, "repository": "team/app"}
        assert client.get(PATH, query_params={**link_parameters(trigger), **named}).status_code == 200
        assert trigger.calls.get().built_from == named

    def test_a_commit_in_a_body_is_the_senders_own(self, client):
        trigger = TriggerFactory()
        body = {"commit": {"id": "a" * 40}, "repository": {"name": "app"}}
        response = client.post(PATH, body, content_type="application/json", query_params=link_parameters(trigger))
        assert response.status_code == 200
        assert trigger.calls.get().built_from is None

    @pytest.mark.parametrize("named", [{"commit": "main"}, {"commit": "a" * 40, "repository": "app"}], ids=["branch", "name"])
    def test_a_wrong_commit_is_refused(self, client, named):
        trigger = TriggerFactory()
        response = client.get(PATH, query_params={**link_parameters(trigger), **named})
        assert response.status_code == 400
        assert list(named)[-1] in response.json()["message"]
        assert not trigger.calls.exists()

    def test_no_session_no_redirect_no_caching(self, client):
        response = client.post(PATH, query_params=link_parameters(TriggerFactory()))
        assert response["Cache-Control"] == "no-store"
        assert not response.cookies
        assert "Location" not in response

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"", "application/json"),
            (b"", "text/plain"),
            (b"{not json", "application/json"),
            (b"[1,2]", "application/json"),
            (b"\xff\xfe", "application/json"),
            (b"payload=%7B%22action%22%3A%22published%22%7D", "application/x-www-form-urlencoded"),
            (b"hello", "text/plain"),
            (b"garbage", "multipart/form-data"),
            (b"x" * (2 * 1024 * 1024), "application/octet-stream"),
            (b'{"type":"PUSH_ARTIFACT","step":"many"}', "application/json"),
            (b"[" * 100_000, "application/json"),
        ],
        ids=[
            "empty",
            "empty text",
            "broken",
            "list",
            "not utf-8",
            "form with payload",
            "text",
            "broken multipart",
            "two megabytes",
            "harbor",
            "deep",
        ],
    )
    @pytest.mark.parametrize("method", ["post", "put"])
    def test_any_body_redeploys(self, client, method, body, content_type):
        response = getattr(client, method)(
            PATH, body, content_type=content_type, query_params=link_parameters(TriggerFactory())
        )
        assert response.json()["code"] == "200"

    def test_a_ping_is_answered_and_does_nothing(self, client):
        trigger = TriggerFactory()
        response = client.post(PATH, query_params=link_parameters(trigger), headers={"X-GitHub-Event": "ping"})
        assert (response.status_code, response.json()["message"]) == (200, "pong")
        assert not trigger.calls.exists()

    def test_the_caller_is_recorded(self, client):
        trigger = TriggerFactory()
        client.get(PATH, query_params=link_parameters(trigger), headers={"User-Agent": "curl/8 " + "x" * 400})
        call = trigger.calls.get()
        assert call.source_address == "127.0.0.1"
        assert call.user_agent.startswith("curl/8")

    def test_a_coalesced_call_names_the_one_that_covers_it(self, client):
        parameters = link_parameters(TriggerFactory())
        first = client.get(PATH, query_params=parameters).json()
        second = client.get(PATH, query_params=parameters).json()
        assert (second["state"], second["coalescedInto"]) == ("coalesced", first["requestId"])


class TestScaling:
    def test_query_parameters(self, client):
        trigger = ScalingTriggerFactory()
        response = client.get(PATH, query_params={**link_parameters(trigger), "type": "scale_out", "step": "5"})
        assert response.json()["code"] == "200"
        assert trigger.calls.get().step == 5

    @pytest.mark.parametrize("method", ["post", "put"])
    @pytest.mark.parametrize(
        ("body", "content_type", "headers"),
        [
            (b'{"type":"scale_in","step":3}', "application/json", {}),
            (b'{"type":"scale_in","step":"3"}', "text/plain", {}),
            (b"type=scale_in&step=3", "application/x-www-form-urlencoded", {}),
            (b'{"type":"scale_in","step":3}', "application/x-www-form-urlencoded", {}),  # curl -d without a content type
            (b"payload=%7B%22type%22%3A%22scale_in%22%2C%22step%22%3A3%7D", "application/x-www-form-urlencoded", {}),
            (gzip.compress(b'{"type":"scale_in","step":3}', mtime=0), "application/json", {"Content-Encoding": "gzip"}),
            (
                b'--b\r\nContent-Disposition: form-data; name="type"\r\n\r\nscale_in\r\n'
                b'--b\r\nContent-Disposition: form-data; name="step"\r\n\r\n3\r\n--b--\r\n',
                "multipart/form-data; boundary=b",
                {},
            ),
        ],
        ids=["json", "json as text", "form", "json as form", "form with payload", "gzip", "multipart"],
    )
    def test_body_parameters(self, client, method, body, content_type, headers):
        trigger = ScalingTriggerFactory()
        response = getattr(client, method)(
            PATH, body, content_type=content_type, query_params=link_parameters(trigger), headers=headers
        )
        assert response.status_code == 200, response.content
        assert trigger.calls.get().step == -3

    def test_the_whole_link_can_be_in_the_body(self, client):
        trigger = ScalingTriggerFactory()
        fields = {**link_parameters(trigger), "type": "scale_out", "step": 1}
        assert client.post(PATH, json.dumps(fields), content_type="application/json").status_code == 200

    @pytest.mark.parametrize(
        ("parameters", "named"),
        [
            ({}, "type"),
            ({"step": "5"}, "type"),
            ({"type": "scale_up", "step": "5"}, "type"),
            ({"type": "scale_out"}, "step"),
            ({"type": "scale_out", "step": "0"}, "step"),
            ({"type": "scale_out", "step": "101"}, "step"),
            ({"type": "scale_out", "step": "-1"}, "step"),
            ({"type": "scale_out", "step": "1.5"}, "step"),
            ({"type": "scale_out", "step": "five"}, "step"),
            ({"type": "scale_out", "step": "5", "wait": "forever"}, "wait"),
        ],
    )
    def test_a_wrong_or_missing_value_is_a_400_that_names_it(self, client, parameters, named):
        trigger = ScalingTriggerFactory()
        response = client.get(PATH, query_params={**link_parameters(trigger), **parameters})
        assert (response.status_code, response.json()["code"]) == (400, "400")
        assert f"The {named} parameter" in response.json()["message"]
        assert not trigger.calls.exists()


class TestTag:
    @pytest.fixture
    def trigger(self):
        return TriggerFactory(tag_pattern=r"v[0-9.]+|latest")

    @pytest.mark.parametrize(
        "call",
        [
            lambda client, link: client.get(PATH, query_params={**link, "tag": "v1.2"}),
            lambda client, link: client.post(PATH, {"tag": "v1.2"}, query_params=link),
            lambda client, link: client.post(PATH, {"tag": "v1.2"}, "application/json", query_params=link),
            lambda client, link: client.post(PATH, {**link, "tag": "v1.2", "wait": "1"}),
        ],
        ids=["query", "form", "json", "all in a form"],
    )
    def test_a_tag_that_matches_goes_with_the_call(self, client, trigger, monkeypatch, call):
        monkeypatch.setattr(waiting.waiters, "wait_for_end", lambda *_, **__: None)
        assert call(client, link_parameters(trigger)).json()["code"] in {"200", "504"}
        assert trigger.calls.get().tag == "v1.2"

    @pytest.mark.parametrize("tag", ["v1.2-rc", "xv1", "latest2", "1"])
    def test_a_tag_that_does_not_match_as_a_whole_is_a_403_and_recorded(self, client, trigger, tag):
        response = client.get(PATH, query_params={**link_parameters(trigger), "tag": tag})
        assert (response.status_code, response.json()["reason"]) == (403, "tag")
        assert f"does not change to the tag {tag}" in response.json()["message"]
        assert [(call.state, call.tag) for call in trigger.calls.all()] == [(CallState.REJECTED, tag)]

    def test_without_allowed_tags_none_is_accepted(self, client):
        trigger = TriggerFactory()
        response = client.get(PATH, query_params={**link_parameters(trigger), "tag": "v1"})
        assert (response.status_code, response.json()["reason"]) == (403, "tag")
        assert "changes no tags" in response.json()["message"]

    @pytest.mark.parametrize("tag", ["", "a b", "-x", "t" * 129, "a@sha256:0"])
    def test_a_malformed_tag_is_a_400_and_not_recorded(self, client, trigger, tag):
        response = client.get(PATH, query_params={**link_parameters(trigger), "tag": tag})
        assert response.status_code == 400
        assert "The tag parameter" in response.json()["message"]
        assert not trigger.calls.exists()

    def test_a_scaling_link_accepts_no_tag(self, client):
        parameters = {**link_parameters(ScalingTriggerFactory()), "type": "scale_out", "step": "1", "tag": "v1"}
        response = client.get(PATH, query_params=parameters)
        assert (response.status_code, response.json()["message"]) == (
            400,
            "This link scales; only a redeploy can change the tag.",
        )

    @pytest.mark.parametrize(
        ("body", "content_type", "tags"),
        [
            (b'{"image": "registry.example.com/app", "tag": "v9"}', "application/json", []),  # of another image: no call
            (b'{"tag": {"name": "v9"}, "action": "published"}', "application/json", [""]),
            (b"payload=%7B%22tag%22%3A%22v9%22%7D", "application/x-www-form-urlencoded", [""]),
            (b"image=app&tag=v9", "application/x-www-form-urlencoded", []),
        ],
    )
    def test_a_registrys_own_message_names_no_tag(self, client, trigger, body, content_type, tags):
        response = client.post(PATH, body, content_type=content_type, query_params=link_parameters(trigger))
        assert response.status_code == 200
        assert list(trigger.calls.values_list("tag", flat=True)) == tags

    def test_a_git_push_is_a_plain_call(self, client, trigger):
        body = b'{"ref": "refs/heads/main", "repository": {"full_name": "team/app"}, "commits": []}'
        headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "1"}
        response = client.post(
            PATH, body, content_type="application/json", headers=headers, query_params=link_parameters(trigger)
        )
        assert response.json()["state"] == "queued"
        assert trigger.calls.get().source == "hook"

    def test_two_waiting_tags_are_two_calls(self, client, trigger):
        answers = [client.get(PATH, query_params={**link_parameters(trigger), "tag": tag}).json() for tag in ("v1", "v2", "v2")]
        assert [answer["state"] for answer in answers] == ["queued", "queued", "coalesced"]


class TestRefused:
    @pytest.mark.parametrize("method", ["head", "options", "patch", "delete", "trace"])
    def test_other_methods_never_act(self, client, method):
        trigger = TriggerFactory()
        parameters = link_parameters(trigger)
        response = getattr(client, method)(PATH, query_params=parameters)
        assert response.status_code == 405
        assert response["Allow"] == "GET, POST, PUT"
        assert not trigger.calls.exists()

    def test_a_disabled_trigger_answers_only_the_holder_of_its_secret_and_is_recorded(self, client):
        trigger = TriggerFactory(enabled=False)
        parameters = link_parameters(trigger)
        response = client.get(PATH, query_params=parameters)
        assert (response.status_code, response.json()["reason"]) == (403, "disabled")
        assert client.get(PATH, query_params={**parameters, "secret": "0" * 64}).status_code == 404
        assert trigger.calls.get().state == CallState.REJECTED

    def test_cool_down_is_a_429_that_says_when(self, client):
        trigger = TriggerFactory(cooldown_seconds=60)
        parameters = link_parameters(trigger)
        client.get(PATH, query_params=parameters)
        TriggerCall.objects.update(queued_at=timezone.now() - timedelta(seconds=30), state=CallState.SUCCEEDED)
        response = client.get(PATH, query_params=parameters)
        assert (response.status_code, response.json()["reason"]) == (429, "cooldown")
        assert 28 <= int(response["Retry-After"]) <= 30

    def test_a_full_queue_is_a_429_with_retry_after(self, client, settings):
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 1
        trigger = ScalingTriggerFactory()
        parameters = {**link_parameters(trigger), "type": "scale_out", "step": "1"}
        client.get(PATH, query_params=parameters)
        response = client.get(PATH, query_params=parameters)
        assert (response.status_code, response.json()["code"]) == (429, "429")
        assert int(response["Retry-After"]) > 0
        assert trigger.calls.count() == 1

    @pytest.mark.parametrize("in_query", [True, False])
    def test_a_body_over_two_megabytes_is_a_413(self, client, in_query):
        trigger = TriggerFactory()
        response = client.post(
            PATH,
            b"x" * (2 * 1024 * 1024 + 1),
            content_type="application/json",
            query_params=link_parameters(trigger) if in_query else {},
        )
        assert (response.status_code, response.json()["code"]) == (413, "413")
        assert not trigger.calls.exists()

    def test_a_gzip_bomb_is_a_413(self, client):
        response = client.post(
            PATH,
            gzip.compress(b" " * (50 * 1024 * 1024)),
            content_type="application/json",
            query_params=link_parameters(ScalingTriggerFactory()),
            headers={"Content-Encoding": "gzip"},
        )
        assert response.status_code == 413

    def test_a_database_that_does_not_answer_is_a_503_and_no_stack_trace(self, client, monkeypatch):
        def refuse(request):
            raise DatabaseError("database is locked")

        monkeypatch.setattr(views, "accept_call", refuse)
        response = client.get(PATH, query_params=link_parameters(TriggerFactory()))
        assert (response.status_code, response.json()["code"]) == (503, "503")
        assert "locked" not in response.json()["message"]

    def test_a_database_that_is_too_new_is_not_said_to_be_away(self, client, monkeypatch):
        def refuse(request):
            raise IntegrityError("NOT NULL constraint failed: triggers_triggercall.progress")

        monkeypatch.setattr(views, "accept_call", refuse)
        response = client.get(PATH, query_params=link_parameters(TriggerFactory()))
        assert (response.status_code, response.json()["code"]) == (503, "503")
        assert "does not answer" not in response.json()["message"]
        assert "/readyz" in response.json()["message"]

    def test_an_outcome_that_the_database_does_not_return_is_a_503(self, client, monkeypatch):
        call = accept_call(request_of(TriggerFactory()))
        secret = call.trigger.secret

        def refuse(*_):
            raise DatabaseError("database is locked")

        monkeypatch.setattr(views, "prove_secret", refuse)
        response = client.get(f"/hook/calls/{call.pk}", query_params={"secret": secret})
        assert (response.status_code, response["Retry-After"]) == (503, "5")
        assert "recorded" not in response.json()["message"]


@pytest.mark.parametrize("factory", [TriggerFactory, ScalingTriggerFactory])
def test_the_answer_takes_a_fixed_small_number_of_queries(client, factory, django_assert_num_queries):
    """Trigger; begin; covering redeploy (of redeploys); queue length; insert; commit."""
    trigger = factory(cooldown_seconds=0)
    other = [factory() for _ in range(3)]
    TriggerCallFactory.create_batch(20, trigger=other[0], state=CallState.SUCCEEDED)
    TriggerCallFactory.create_batch(20, trigger=trigger, state=CallState.SUCCEEDED)
    parameters = link_parameters(trigger) | ({"type": "scale_out", "step": "1"} if trigger.service else {})
    expected = (6 if trigger.service is None else 5) + connection.features.has_select_for_update
    with django_assert_num_queries(expected):
        assert client.get(PATH, query_params=parameters).status_code == 200


def test_the_answer_of_a_covered_call_takes_one_query_fewer(client, django_assert_num_queries):
    """As above, without the queue's length."""
    parameters = link_parameters(TriggerFactory())
    client.get(PATH, query_params=parameters)
    with django_assert_num_queries(5 + connection.features.has_select_for_update):
        assert client.get(PATH, query_params=parameters).json()["state"] == CallState.COALESCED


def test_the_log_holds_no_secret(client, caplog):
    trigger = TriggerFactory()
    with caplog.at_level("DEBUG"):
        client.get(PATH, query_params=link_parameters(trigger))
        client.get(PATH, query_params={**link_parameters(trigger), "secret": "f" * 64})
    assert "/hook/trigger" in caplog.text
    assert trigger.secret not in caplog.text
    assert "f" * 64 not in caplog.text


class TestWithoutASecret:
    """Nothing is unpacked or parsed for whoever has none."""

    LISTS = b'{"a":[' + b"[]," * 1000 + b"[]]}"

    @pytest.fixture(autouse=True)
    def parsed(self, monkeypatch):
        """The bodies that were parsed."""
        parsed = []
        parse = bodies.parse_body

        def record(request, body):
            parsed.append(body)
            return parse(request, body)

        monkeypatch.setattr(bodies, "parse_body", record)
        return parsed

    @pytest.mark.parametrize("query", [{}, {"secret": "0" * 64}], ids=["none", "wrong"])
    @pytest.mark.parametrize(
        ("body", "headers", "content_type"),
        [
            (gzip.compress(LISTS * 100), {"Content-Encoding": "gzip"}, "application/json"),
            (LISTS * 10, {}, "application/json"),
            (b"a=%20&" * 1000, {}, "application/x-www-form-urlencoded"),
            (b"a=%20&" * 500, {}, "application/x-www-form-urlencoded"),
            (b'--a\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 60, {}, "multipart/form-data; boundary=a"),
        ],
        ids=["gzip", "json", "large form", "many fields", "parts"],
    )
    def test_a_trigger_link(self, client, parsed, query, body, headers, content_type):
        known = link_parameters(TriggerFactory()) | query if query else {}
        response = client.post(PATH, body, content_type=content_type, query_params=known, headers=headers)
        assert response.status_code in {400, 404, 413}
        assert parsed == []

    def test_a_registry_link(self, client, parsed):
        assert client.post("/hook/registry/unknown", self.LISTS, content_type="application/json").status_code == 404
        assert parsed == []

    def test_a_status_address(self, client, parsed):
        call = TriggerCallFactory()
        answer = client.generic("GET", f"/hook/calls/{call.pk}?secret=wrong", self.LISTS, content_type="application/json")
        assert (answer.status_code, parsed) == (404, [])

    def test_the_message_says_where_to_put_it(self, client):
        body = json.dumps({**link_parameters(TriggerFactory()), "more": "x" * 4096})
        response = client.post(PATH, body, content_type="application/json")
        assert response.status_code == 413
        assert "Put them in the address" in response.json()["message"]

    def test_more_parameters_than_anyone_sends_are_refused(self, client):
        response = client.get(PATH, QUERY_STRING="a=%20&" * 500)
        assert (response.status_code, response.json()["message"][:11]) == (400, "The address")


@pytest.mark.parametrize(
    "request_of_it",
    [
        lambda client: client.get(PATH, headers={"Accept": "text/html"}),
        lambda client: client.post("/hook/registry/unknown", headers={"Accept": "nonsense"}),
        lambda client: client.post(PATH, '{"triggerUrl":"eyJ","secret":"\\ud800"}', content_type="application/json"),
        lambda client: client.post(PATH, '{"triggerUrl":"\\udfff","secret":"a"}', content_type="application/json"),
        lambda client: client.post(PATH, b"secret=%ED%A0%80", content_type="application/x-www-form-urlencoded"),
        lambda client: client.get(PATH, {"triggerUrl": "\0", "secret": "\0"}),
        lambda client: client.get(PATH, headers={"X-Trigger-Secret": "\xff"}),
        lambda client: client.post(PATH, b"x", content_type="multipart/form-data"),
        lambda client: client.post(PATH, b"x", content_type="nonsense"),
        lambda client: client.get("/hook/registry/%00"),
        lambda client: client.get("/hook/registry/%ed%a0%80"),
    ],
)
def test_no_stranger_gets_a_500(client, request_of_it):
    response = request_of_it(client)
    assert response.status_code in {400, 404}
    assert response.json()["code"] == str(response.status_code)


@pytest.mark.parametrize("name", ["tag", "wait", "type", "step"])
def test_half_a_character_is_a_400_that_names_the_parameter(client, name):
    trigger = ScalingTriggerFactory()
    body = json.dumps({"type": "scale_out", "step": "1", name: "\ud800"})
    response = client.post(PATH, body, content_type="application/json", query_params=link_parameters(trigger))
    assert response.status_code == 400
    assert name in response.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *itertools.product(["get", "post", "delete"], ["/hook/", "/hook/nothing", "/hook/calls/xyz", "/hook/trigger/more"]),
    ],
)
def test_every_other_address_of_links_is_a_404_in_json(client, path, method):
    answer = getattr(client, method)(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (404, "404")
    assert answer.json()["message"] == "No link has this address. Copy the link from the console again."


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RuntimeError("nobody expected it"), 500, "The console failed; its log says why."),
        (ParseError("no such encoding"), 400, "no such encoding"),
        (Throttled(wait=7), 429, "Request was throttled."),
        (UnsupportedMediaType("a/b"), 415, 'Unsupported media type "a/b" in request.'),
    ],
    ids=repr,
)
def test_whatever_goes_wrong_is_answered_in_json(client, monkeypatch, error, status, said):
    monkeypatch.setattr(views, "accept_call", lambda request: (_ for _ in ()).throw(error))
    answer = client.get(PATH, query_params=link_parameters(TriggerFactory()))
    assert (answer.status_code, answer.json()["code"]) == (status, str(status))
    assert answer.json()["message"].startswith(said)


@pytest.mark.parametrize("blank", ["%0A", "%0D%0A", "%20", "%250A"])
def test_a_status_address_with_blanks_around_its_values_is_the_same(client, blank):
    call = TriggerCallFactory()
    address = client.get(PATH, query_params=link_parameters(call.trigger)).json()["statusUrl"].removeprefix("http://testserver")
    path, _, token = address.partition("?")
    for one in (f"{path}?{token}{blank}", f"{path}?{token}&wait=1{blank}"):
        assert client.get(one).json()["requestId"] == path.rpartition("/")[2], one
