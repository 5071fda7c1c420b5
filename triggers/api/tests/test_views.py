import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from clusters.models import Application, AuditEntry, ClusterGrant, Service
from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ServiceFactory
from clusters.tests.users import make_user, sign_in_to_api
from triggers import links
from triggers.calls.accept import accept_call
from triggers.models import CallState, Trigger, TriggerCall, TriggerCallEvent
from triggers.tests.calling import request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return sign_in_to_api(User.objects.create_superuser("admin"))


@pytest.fixture
def reader():
    return sign_in_to_api(make_user("reader", Role.VIEWER))


@pytest.fixture
def service():
    return ServiceFactory(application__name="shop", name="web")


# Triggers


def test_creating_a_redeploy_trigger_answers_with_link_and_secret(admin, service):
    response = admin.post("/api/v1/triggers/", {"application": service.application_id, "action": "redeploy", "name": "ci"})
    assert response.status_code == 201
    trigger = Trigger.objects.get()
    body = response.json()
    assert body["secret"] == trigger.secret
    assert body["link"] == links.build_link("http://testserver", trigger.link_fields, trigger.secret)
    assert (body["created_by"], body["service"], body["enabled"], body["name"]) == ("admin", None, True, "ci")


def test_creating_a_scaling_trigger_with_bounds(admin, service):
    body = {
        "application": service.application_id,
        "action": "scaling",
        "service": service.pk,
        "min_replicas": 1,
        "max_replicas": 5,
        "cooldown_seconds": 30,
    }
    assert admin.post("/api/v1/triggers/", body).status_code == 201
    trigger = Trigger.objects.get()
    assert (trigger.service, trigger.min_replicas, trigger.max_replicas, trigger.cooldown_seconds) == (service, 1, 5, 30)


def test_a_trigger_on_a_swarm_can_leave_a_failure_as_it_is_and_scale_to_nothing(admin):
    service = ServiceFactory(application__source=Application.Source.STACK)
    body = {"application": service.application_id, "action": "scaling", "service": service.pk, "min_replicas": 0}
    assert admin.post("/api/v1/triggers/", body).json()["on_failure"] == "rollback"
    created = admin.post("/api/v1/triggers/", body | {"on_failure": "pause"}).json()
    assert created["on_failure"] == "pause"
    changed = admin.patch(f"/api/v1/triggers/{created['id']}/", {"on_failure": "rollback"})
    assert changed.json()["on_failure"] == "rollback"


def test_a_trigger_acts_on_alerts_that_fire_unless_it_says_otherwise(admin):
    body = {"application": ServiceFactory().application_id, "action": "redeploy"}
    assert admin.post("/api/v1/triggers/", body).json()["alert_state"] == "firing"
    created = admin.post("/api/v1/triggers/", body | {"alert_state": "resolved"}).json()
    assert created["alert_state"] == "resolved"
    changed = admin.patch(f"/api/v1/triggers/{created['id']}/", {"alert_state": "firing"})
    assert changed.json()["alert_state"] == "firing"


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_get_can_be_excluded_and_stays_so_where_it_is_not_sent(admin, content_type):
    created = admin.post("/api/v1/triggers/", {"application": ApplicationFactory().pk, "action": "redeploy"}).json()
    assert created["post_only"] is False
    path = f"/api/v1/triggers/{created['id']}/"
    bodies = {
        "application/json": ('{"post_only": true}', '{"name": "n"}', '{"post_only": false}'),
        "application/x-www-form-urlencoded": ("post_only=true", "name=n", "post_only=false"),
    }
    for body, expected in zip(bodies[content_type], (True, True, False), strict=True):
        assert admin.generic("PATCH", path, body, content_type=content_type).json()["post_only"] is expected


@override_settings(PUBLIC_URL="https://windlass.example.com")
def test_the_link_has_the_public_address(admin):
    row = admin.post(f"/api/v1/triggers/{TriggerFactory().pk}/reveal/").json()
    assert row["link"].startswith("https://windlass.example.com/hook/trigger?triggerUrl=")


def refused_creations():
    """Return cases as (id, changes to the application, changes to the service, body, field)."""
    scaling = {"action": "scaling"}
    absent = Application.Status.ABSENT
    yield "no application", {}, {}, {"application": None}, "application"
    yield "unknown application", {}, {}, {"application": 999_999}, "application"
    yield "huge id", {}, {}, {"application": 10**30}, "application"
    yield "no action", {}, {}, {"action": None}, "action"
    yield "unknown action", {}, {}, {"action": "node_scaling"}, "action"
    yield "scaling without a service", {}, {}, scaling | {"service": None}, "service"
    yield "unknown service", {}, {}, {"service": 999_999}, "service"
    yield "global service", {}, {"mode": Service.Mode.GLOBAL}, scaling, "service"
    yield "job", {"source": Application.Source.STACK}, {"mode": Service.Mode.REPLICATED_JOB}, scaling, "service"
    yield "old engine", {"cluster__api_version": "1.40"}, {}, scaling, "action"
    yield "engine never seen", {"cluster__api_version": ""}, {}, scaling, "action"
    yield "protected", {"protected": True}, {}, {}, "application"
    yield "absent application", {"status": absent}, {}, {}, "application"
    yield "absent service", {}, {"status": absent}, {}, "service"
    yield "min above max", {}, {}, scaling | {"min_replicas": 5, "max_replicas": 4}, "max_replicas"
    yield "min 0 on a plain engine", {}, {}, scaling | {"min_replicas": 0}, "min_replicas"
    yield "max 0", {}, {}, scaling | {"max_replicas": 0}, "max_replicas"
    yield "negative min", {}, {}, scaling | {"min_replicas": -1}, "min_replicas"
    yield "huge max", {}, {}, scaling | {"max_replicas": 10**12}, "max_replicas"
    yield "max that is no number", {}, {}, scaling | {"max_replicas": "many"}, "max_replicas"
    yield "negative cool-down", {}, {}, {"cooldown_seconds": -1}, "cooldown_seconds"
    yield "cool-down of more than a day", {}, {}, {"cooldown_seconds": 86_401}, "cooldown_seconds"
    yield "bounds of a redeploy", {}, {}, {"max_replicas": 3}, "max_replicas"
    yield "an expression that is none", {}, {}, {"tag_pattern": "v["}, "tag_pattern"
    yield "leaving a failure on a plain engine", {}, {}, {"on_failure": "pause"}, "on_failure"
    yield "unknown way to fail", {}, {}, {"on_failure": "retry"}, "on_failure"
    yield "unknown state of an alert", {}, {}, {"alert_state": "ok"}, "alert_state"
    yield "long name", {}, {}, {"name": "n" * 65}, "name"


@pytest.mark.parametrize(
    ("application", "service", "body", "field"),
    [case[1:] for case in refused_creations()],
    ids=[case[0] for case in refused_creations()],
)
def test_a_trigger_that_could_never_work_is_refused_by_field(admin, application, service, body, field):
    row = ServiceFactory(**{f"application__{name}": value for name, value in application.items()}, **service)
    complete = {"application": row.application_id, "action": "redeploy", "service": row.pk}
    response = admin.post("/api/v1/triggers/", complete | body, format="json")
    assert response.status_code == 400, response.content
    assert list(response.json()) == [field]
    assert not Trigger.objects.exists()


def test_an_old_engine_must_be_upgraded_before_it_scales(admin):
    service = ServiceFactory(application__cluster__api_version="1.40", application__cluster__name="old")
    body = {"application": service.application_id, "action": "scaling", "service": service.pk}
    assert admin.post("/api/v1/triggers/", body).json()["action"] == [
        "Resource scaling needs engine API 1.41 or newer, and cluster old has 1.40: upgrade the engine first."
    ]
    assert admin.post("/api/v1/triggers/", body | {"action": "redeploy"}).status_code == 201


def test_a_service_of_another_application_is_refused(admin, service):
    body = {"application": service.application_id, "action": "redeploy", "service": ServiceFactory().pk}
    response = admin.post("/api/v1/triggers/", body)
    assert (response.status_code, list(response.json())) == (400, ["service"])


def test_a_trigger_is_changed_disabled_and_deleted(admin):
    trigger = ScalingTriggerFactory()
    path = f"/api/v1/triggers/{trigger.pk}/"
    changes = {"enabled": False, "name": "alarm", "min_replicas": 2, "max_replicas": 4, "cooldown_seconds": 5}
    assert admin.patch(path, changes, format="json").status_code == 200
    trigger.refresh_from_db()
    assert {name: getattr(trigger, name) for name in changes} == changes
    assert admin.patch(path, {"min_replicas": None}, format="json").status_code == 200
    assert admin.delete(path).status_code == 204
    assert not Trigger.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"min_replicas": 9}, "max_replicas"),
        ({"max_replicas": 0}, "max_replicas"),
        ({"action": "redeploy"}, "action"),
        ({"application": "other"}, "application"),
        ({"service": "own"}, "service"),
    ],
)
def test_a_wrong_change_is_refused_by_field(admin, changes, field):
    trigger = ScalingTriggerFactory(max_replicas=4)
    ids = {"other": ApplicationFactory().pk, "own": trigger.service_id}
    body = {name: ids.get(value, value) for name, value in changes.items()}
    response = admin.patch(f"/api/v1/triggers/{trigger.pk}/", body, format="json")
    assert (response.status_code, list(response.json())) == (400, [field])
    assert Trigger.objects.get().max_replicas == 4


def test_a_trigger_of_an_absent_application_can_still_be_disabled(admin):
    trigger = TriggerFactory(application__status=Application.Status.ABSENT)
    assert admin.patch(f"/api/v1/triggers/{trigger.pk}/", {"enabled": False}).status_code == 200


def test_rotating_gives_another_secret_and_link(admin):
    trigger = TriggerFactory()
    response = admin.post(f"/api/v1/triggers/{trigger.pk}/rotate/")
    assert response.status_code == 200
    rotated = Trigger.objects.get()
    assert rotated.secret != trigger.secret
    assert (response.json()["secret"], rotated.public_id) == (rotated.secret, trigger.public_id)


def test_the_secret_cannot_be_chosen(admin):
    trigger = TriggerFactory()
    admin.patch(f"/api/v1/triggers/{trigger.pk}/", {"secret": "", "public_id": "0000000000000", "link": "x"}, format="json")
    assert (Trigger.objects.get().secret, Trigger.objects.get().public_id) == (trigger.secret, trigger.public_id)


def test_no_get_answer_holds_link_or_secret(admin):
    trigger = TriggerFactory()
    for path in ("/api/v1/triggers/", f"/api/v1/triggers/{trigger.pk}/"):
        text = admin.get(path).content.decode()
        assert "triggerUrl" not in text
        assert trigger.secret not in text


def test_revealing_link_and_secret_is_recorded(admin):
    trigger = TriggerFactory()
    body = admin.post(f"/api/v1/triggers/{trigger.pk}/reveal/", REMOTE_ADDR="203.0.113.9").json()
    assert body["secret"] == trigger.secret
    assert body["link"].endswith(trigger.secret)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target_id, entry.address) == (
        "admin",
        "trigger.reveal",
        str(trigger.pk),
        "203.0.113.9",
    )
    assert trigger.secret not in str(entry.details)


def test_creating_a_trigger_reveals_nothing_later():
    user = make_user("former", Role.VIEWER)
    trigger = TriggerFactory(created_by=user)
    assert sign_in_to_api(user).post(f"/api/v1/triggers/{trigger.pk}/reveal/").status_code == 403


def test_a_user_who_may_rotate_but_not_reveal_gets_no_secret(reader):
    user = User.objects.get(username="reader")
    user.user_permissions.add(Permission.objects.get(codename="change_trigger"))
    answer = sign_in_to_api(User.objects.get(pk=user.pk)).post(f"/api/v1/triggers/{TriggerFactory().pk}/rotate/").json()
    assert (answer["link"], answer["secret"]) == (None, None)


def test_a_role_on_one_cluster_reaches_no_other(published):
    mine, other = ServiceFactory(), ServiceFactory()
    client = sign_in_to_api(make_user("eve", Role.DEPLOYER, mine.application.cluster))

    def create(service):
        return client.post("/api/v1/triggers/", {"application": service.application_id, "action": "redeploy"})

    assert create(mine).status_code == 201
    assert list(create(other).json()) == ["application"]  # unknown to them
    hidden = TriggerFactory(application=other.application)
    for method, path in (("patch", ""), ("delete", ""), ("post", "rotate/"), ("post", "reveal/")):
        assert getattr(client, method)(f"/api/v1/triggers/{hidden.pk}/{path}").status_code == 404
    assert client.post(f"/api/v1/applications/{mine.application_id}/redeploy/").status_code == 202
    assert client.post(f"/api/v1/applications/{other.application_id}/redeploy/").status_code == 404
    assert len(client.get("/api/v1/triggers/").json()["results"]) == 1


def test_a_viewer_of_a_cluster_cannot_create_a_trigger():
    mine, seen = ApplicationFactory(), ApplicationFactory()
    user = make_user("eve", Role.DEPLOYER, mine.cluster)
    ClusterGrant.objects.create(user=user, cluster=seen.cluster, role=Role.VIEWER)
    response = sign_in_to_api(user).post("/api/v1/triggers/", {"application": seen.pk, "action": "redeploy"})
    assert response.status_code == 403
    assert not Trigger.objects.exists()


def test_each_change_has_its_action_in_the_audit_log(admin, service, published):
    path = "/api/v1/triggers/"
    created = admin.post(path, {"application": service.application_id, "action": "redeploy"}).json()
    one = f"{path}{created['id']}/"
    admin.patch(one, {"enabled": False, "name": "ci"})
    admin.patch(one, {"enabled": True})
    admin.post(f"{one}rotate/")
    admin.delete(one)
    admin.post(f"/api/v1/applications/{service.application_id}/redeploy/", {"service": service.pk})
    words = [entry.action.removeprefix("trigger.") for entry in AuditEntry.objects.order_by("pk")]
    assert words == ["create", "disable", "change", "enable", "rotate", "delete", "call"]
    call = AuditEntry.objects.get(action="call")
    assert (call.target, call.cluster) == (service.application.name, service.application.cluster)
    assert call.details == {"call": str(TriggerCall.objects.get().pk), "asked": "redeploy", "source": "api", "service": "web"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("post", ""), ("patch", "{id}/"), ("delete", "{id}/"), ("post", "{id}/rotate/")],
)
def test_a_user_without_permissions_changes_no_trigger(reader, method, path):
    trigger = TriggerFactory()
    response = getattr(reader, method)(f"/api/v1/triggers/{path.format(id=trigger.pk)}", {}, format="json")
    assert response.status_code == 403
    assert Trigger.objects.get().secret == trigger.secret


# Calls


def test_a_call_has_exactly_the_documented_fields(reader):
    call = TriggerCallFactory(plan="pull app:1", before={"services": {}})
    TriggerCallEvent.objects.create(call=call, time=timezone.now(), operation="pull", text="pulled app:1")
    body = reader.get(f"/api/v1/calls/{call.pk}/").json()
    assert set(body) == {
        "id",
        "state",
        "reason",
        "message",
        "source",
        "proof",
        "identity",
        "built_from",
        "trigger",
        "queued_at",
        "held_until",
        "override_reason",
        "started_at",
        "completed_at",
        "cancel_requested_at",
        "cancelled_by",
        "repeated",
        "repeated_at",
        "plan",
        "progress",
        "events",
        "failure",
        "before",
        "after",
        "application",
        "service",
        "container",
        "action",
        "tag",
        "start_stopped",
        "returns_to",
        "step",
        "replicas",
        "target_replicas",
        "coalesced_into",
    }
    assert (body["id"], body["trigger"], body["plan"]) == (str(call.pk), call.trigger_id, "pull app:1")
    assert [(event["operation"], event["text"]) for event in body["events"]] == [("pull", "pulled app:1")]
    assert (body["repeated"], body["repeated_at"]) == (0, None)


def test_a_call_says_how_many_were_counted_on_it(reader):
    now = timezone.now()
    call = TriggerCallFactory(state=CallState.REJECTED, repeated=412, repeated_at=now)
    body = reader.get(f"/api/v1/calls/{call.pk}/").json()
    assert (body["repeated"], body["repeated_at"][:19]) == (412, now.isoformat()[:19])


def test_calls_are_filtered_and_newest_first(reader):
    older = TriggerCallFactory(state=CallState.SUCCEEDED)
    newer = TriggerCallFactory(trigger=older.trigger)
    TriggerCallFactory()

    def ids(query):
        return [row["id"] for row in reader.get(f"/api/v1/calls/?{query}").json()["results"]]

    assert ids(f"trigger={older.trigger_id}") == [str(newer.pk), str(older.pk)]
    assert ids(f"application={older.application_id}&state=succeeded") == [str(older.pk)]


@pytest.mark.parametrize("query", ["state=done", "trigger=x", "application=x"])
def test_a_wrong_filter_is_refused_by_name(reader, query):
    response = reader.get(f"/api/v1/calls/?{query}")
    assert (response.status_code, list(response.json())) == (400, [query.split("=")[0]])


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_calls_cannot_be_written(admin, method):
    call = TriggerCallFactory()
    assert getattr(admin, method)(f"/api/v1/calls/{call.pk}/", {}).status_code == 405


@pytest.mark.parametrize("path", ["triggers", "calls"])
def test_anonymous_requests_are_refused(path):
    assert APIClient().get(f"/api/v1/{path}/").status_code == 401


@pytest.mark.parametrize(("path", "queries"), [("triggers", 4), ("calls", 3)])
def test_lists_take_a_fixed_number_of_queries(path, queries):
    user = make_user("reader", Role.VIEWER)
    for _ in range(5):
        call = TriggerCallFactory(trigger=ScalingTriggerFactory(created_by=user))
        TriggerCallEvent.objects.create(call=call, time=timezone.now(), operation="pull", text="pulled")
    client = sign_in_to_api(User.objects.get(pk=user.pk))
    with CaptureQueriesContext(connection) as captured:
        assert len(client.get(f"/api/v1/{path}/").json()["results"]) == 5
    assert len(captured) == queries


# Making calls


def test_redeploying_an_application_records_and_answers_the_call(admin, service, published):
    response = admin.post(f"/api/v1/applications/{service.application_id}/redeploy/", HTTP_USER_AGENT="ci/1")
    assert response.status_code == 202
    call = TriggerCall.objects.get()
    assert response.json()["id"] == str(call.pk)
    assert (call.action, call.source, call.application_id, call.service) == ("redeploy", "api", service.application_id, None)
    assert (call.requested_by.username, call.user_agent, call.source_address, call.trigger) == (
        "admin",
        "ci/1",
        "127.0.0.1",
        None,
    )


def test_redeploying_one_service(admin, service, published):
    path = f"/api/v1/applications/{service.application_id}/redeploy/"
    assert admin.post(path, {"service": service.pk}).status_code == 202
    assert TriggerCall.objects.get().service == service


def test_redeploying_to_any_tag(admin, service, published):
    response = admin.post(f"/api/v1/applications/{service.application_id}/redeploy/", {"tag": "2.0"})
    assert (response.status_code, response.json()["tag"]) == (202, "2.0")
    assert TriggerCall.objects.get().tag == "2.0"


def test_redeploying_what_was_stopped_too(admin, service, published):
    path = f"/api/v1/applications/{service.application_id}/redeploy/"
    response = admin.post(path, {"start_stopped": True}, format="json")
    assert (response.status_code, response.json()["start_stopped"]) == (202, True)
    assert admin.post(path, {"start_stopped": "perhaps"}, format="json").status_code == 400


@pytest.mark.parametrize("value", ["", "a b", "t" * 129, None, ["2"]])
def test_a_redeploy_to_a_malformed_tag_is_refused(admin, service, value):
    response = admin.post(f"/api/v1/applications/{service.application_id}/redeploy/", {"tag": value}, format="json")
    assert (response.status_code, list(response.json())) == (400, ["tag"])
    assert not TriggerCall.objects.exists()


@pytest.mark.parametrize("value", [0, 999_999, 10**30, "web", True])
def test_a_redeploy_of_an_unknown_service_is_refused(admin, service, value):
    response = admin.post(f"/api/v1/applications/{service.application_id}/redeploy/", {"service": value}, format="json")
    assert (response.status_code, list(response.json())) == (400, ["service"])
    assert not TriggerCall.objects.exists()


@pytest.mark.parametrize(
    ("body", "step", "replicas"),
    [
        ({"replicas": 3}, None, 3),
        ({"type": "scale_out", "step": 5}, 5, None),
        ({"type": "scale_in", "step": "2"}, -2, None),
    ],
)
def test_scaling_a_service_records_the_request(admin, service, published, body, step, replicas):
    response = admin.post(f"/api/v1/services/{service.pk}/scale/", body, format="json")
    assert response.status_code == 202
    call = TriggerCall.objects.get()
    assert (call.action, call.source, call.service, call.step, call.replicas) == ("scaling", "api", service, step, replicas)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "replicas"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": -1}, "replicas"),
        ({"replicas": "many"}, "replicas"),
        ({"replicas": 10**12}, "replicas"),
        ({"replicas": None}, "replicas"),
        ({"replicas": 3, "step": 1}, "step"),
        ({"type": "scale_out"}, "step"),
        ({"step": 1}, "type"),
        ({"type": "scale_up", "step": 1}, "type"),
        ({"type": "scale_out", "step": 0}, "step"),
        ({"type": "scale_out", "step": 101}, "step"),
        ({"type": "scale_out", "step": 1.5}, "step"),
    ],
)
def test_wrong_scaling_is_refused_by_field(admin, service, body, field):
    response = admin.post(f"/api/v1/services/{service.pk}/scale/", body, format="json")
    assert (response.status_code, list(response.json())) == (400, [field])
    assert not TriggerCall.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"application__cluster__api_version": "1.40"}, "upgrade the engine first"), ({"mode": "global"}, "cannot be scaled")],
)
def test_a_service_that_cannot_be_scaled_is_refused_with_the_reason(admin, changes, words):
    service = ServiceFactory(**changes)
    response = admin.post(f"/api/v1/services/{service.pk}/scale/", {"replicas": 3})
    assert response.status_code == 409
    assert words in response.json()["detail"]
    assert not TriggerCall.objects.exists()


@pytest.mark.parametrize("path", ["applications/{application}/redeploy/", "services/{service}/scale/"])
def test_a_protected_application_rejects_the_call_and_says_so(admin, path):
    service = ServiceFactory(application__protected=True)
    path = path.format(application=service.application_id, service=service.pk)
    response = admin.post(f"/api/v1/{path}", {"replicas": 3} if "scale" in path else {})
    assert response.status_code == 409
    assert (response.json()["state"], response.json()["reason"]) == ("rejected", "protected")


@override_settings(HOOK_QUEUE_LIMIT=1)
def test_a_full_queue_answers_to_retry_later(admin, service, published):
    TriggerCallFactory()
    response = admin.post(f"/api/v1/applications/{service.application_id}/redeploy/")
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0


@pytest.mark.parametrize("path", ["applications/{application}/redeploy/", "services/{service}/scale/"])
def test_making_calls_needs_the_permission(reader, service, path):
    path = path.format(application=service.application_id, service=service.pk)
    assert APIClient().post(f"/api/v1/{path}").status_code == 401
    assert reader.post(f"/api/v1/{path}", {"replicas": 3}).status_code == 403
    assert not TriggerCall.objects.exists()


@pytest.mark.parametrize("path", ["applications/0/redeploy/", "services/0/scale/", f"services/{'9' * 30}/scale/"])
def test_an_unknown_target_is_not_found(admin, path):
    assert admin.post(f"/api/v1/{path}", {"replicas": 3}).status_code == 404


def test_a_cluster_with_a_newer_engine_scales(admin, published):
    service = ServiceFactory(application__cluster=ClusterFactory(api_version="1.50"))
    assert admin.post(f"/api/v1/services/{service.pk}/scale/", {"replicas": 3}).status_code == 202


def test_a_call_is_cancelled_and_the_audit_log_has_it(admin, published):
    call = accept_call(request_of(TriggerFactory()))
    response = admin.post(f"/api/v1/calls/{call.pk}/cancel/")
    assert (response.status_code, response.json()["state"], response.json()["cancelled_by"]) == (202, "rejected", "admin")
    again = admin.post(f"/api/v1/calls/{call.pk}/cancel/")
    assert (again.status_code, again.json()["reason"]) == (409, "cancelled")
    assert list(AuditEntry.objects.values_list("action", "details__call")) == [("call.cancel", str(call.pk))]


# Pages of calls


def test_calls_are_paged_newest_first_without_gap_or_repetition_there_and_back(reader):
    trigger, now = TriggerFactory(), timezone.now()
    moments = [now - timedelta(minutes=number // 2) for number in range(9)]  # two at each moment
    calls = {str(TriggerCallFactory(trigger=trigger, queued_at=moment).pk) for moment in moments}

    def walk(address, way):
        pages = []
        while address:
            body = reader.get(address).json()
            pages.append([row["id"] for row in body["results"]])
            last, address = address, body[way]
        return pages, last

    pages, last = walk("/api/v1/calls/?limit=4", "next")
    assert [len(page) for page in pages] == [4, 4, 1]
    assert set(sum(pages, [])) == calls
    times = dict(TriggerCall.objects.values_list("pk", "queued_at"))
    shown = [times[uuid.UUID(one)] for one in sum(pages, [])]
    assert shown == sorted(shown, reverse=True)
    back, _ = walk(last, "previous")
    assert back[::-1] == pages


def test_calls_are_neither_counted_nor_skipped(reader):
    for _ in range(5):
        TriggerCallFactory()
    following = reader.get("/api/v1/calls/?limit=2").json()["next"]
    with CaptureQueriesContext(connection) as queries:
        assert len(reader.get(following).json()["results"]) == 2
    lists = [one["sql"] for one in queries if "triggers_triggercall" in one["sql"]]
    assert not [sql for sql in lists if "COUNT" in sql or "OFFSET" in sql]


def test_calls_on_other_clusters_are_on_no_page():
    seen, hidden = TriggerCallFactory(), TriggerCallFactory()
    client = sign_in_to_api(make_user("part", Role.VIEWER, seen.application.cluster))
    assert [row["id"] for row in client.get("/api/v1/calls/").json()["results"]] == [str(seen.pk)]
    assert client.get(f"/api/v1/calls/{hidden.pk}/").status_code == 404
